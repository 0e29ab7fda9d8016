/**
 * The hypervisor's interface as frames (frames.ts) on byte streams. Each connection opens with a HELLO from either side and has one
 * use: the control connection carries requests, replies and events as JSON; a console connection one reader's console.
 *
 *   both       client                      server
 *   HELLO      Hello                       Greeting, or REFUSED with WireError as the last frame
 *   control    REQUEST {id, call, args}    REPLY {id, result} or {id, error}; EVENT XenEvent
 *   console    DATA typed bytes; DRAIN     DATA output; LOST {count}; PLACE {position}; DRAINED after all that came before DRAIN
 *   ring       DATA responses; RESET; FAIL         DATA requests; RESET; FAIL; RESUME {request} first, if that was asked for
 *
 * RESET on a ring's connection says that it starts anew with an empty ring; who sends it drops what comes until the other end has said the
 * same. FAIL says that the conversation is broken until there is a reset. RESUME has the number of the request that comes first.
 */
import { UserError } from '../base/errors.ts'
import type { RingRequest } from '../xenstore/domains.ts'
import { NoDomain, XENCTRL_INTERFACE_VERSION } from './interface.ts'

export const WIRE_DATA = 0
export const WIRE_HELLO = 1
export const WIRE_REFUSED = 2
export const WIRE_REQUEST = 3
export const WIRE_REPLY = 4
export const WIRE_EVENT = 5
export const WIRE_LOST = 6
export const WIRE_DRAIN = 7
export const WIRE_DRAINED = 8
export const WIRE_RESET = 9
export const WIRE_FAIL = 10
export const WIRE_RESUME = 11
export const WIRE_PLACE = 12
export const WIRE_TAKEN = 13
/** The hypervisor's log as JSON is the longest. */
export const WIRE_MAX_FRAME_BYTES = 16 * 1024 * 1024

/** How a byte stream's owner hears of it. */
export interface ChannelEvents {
	onData(chunk: Uint8Array): void
	/** After a write() that said false: there is room again. */
	onWritable(): void
	onClose(): void
}

/** A byte stream as its user sees it: a socket, mostly. */
export interface Channel {
	/** Queues the bytes. False when the stream is full: hold back until onWritable. */
	write(bytes: Uint8Array): boolean
	/** Stop and go on calling onData. */
	pause(): void
	resume(): void
	/** Ends it once what is queued is out. */
	close(): void
}

/** Opens a byte stream to the hypervisor. */
export type Dial = (events: ChannelEvents) => Promise<Channel>

export interface Hello {
	readonly interface: number
	/**
	 * There is one toolstack at a time: a second is greeted when the first is gone and what it asked for is done, so that nothing that
	 * a dead toolstack had asked for happens behind the back of the next one.
	 */
	readonly role: 'toolstack' | 'xenstored' | 'observer'
	readonly open:
		| { readonly kind: 'control' }
		| { readonly kind: 'console'; readonly domid: number; readonly from: number; readonly typist?: string | undefined }
		| ({ readonly kind: 'ring'; readonly resume: boolean } & RingRequest)
}

export interface Greeting {
	readonly interface: number
	readonly bootId: string
	readonly pid: number
}

export interface WireError {
	readonly code: string
	readonly message: string
	readonly exitCode: number
	/** Set for NoDomain. */
	readonly domain?: number | string
}

/** The calls of a control connection, all of XenControl but what has a connection of its own. */
export const WIRE_CALLS = [
	'info',
	'createDomain',
	'domains',
	'pause',
	'unpause',
	'destroy',
	'setUuid',
	'setMaxMemory',
	'sendTrigger',
	'dumpCore',
	'saveDomain',
	'savedConfig',
	'restoreDomain',
	'resumeDomain',
	'log',
	'debugKeys',
	'stopIfIdle',
] as const
export type WireCall = (typeof WIRE_CALLS)[number]

export interface WireRequest {
	readonly id: number
	readonly call: WireCall
	readonly args: readonly unknown[]
}

export type WireReply = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: WireError }

export function encodeError(error: unknown): WireError {
	const message = error instanceof Error ? error.message : String(error)
	if (!(error instanceof UserError)) return { code: 'internal', message, exitCode: 1 }
	const domain = error instanceof NoDomain ? { domain: error.domain } : {}
	return { code: error.code, message, exitCode: error.exitCode, ...domain }
}

export function decodeError({ code, message, exitCode, domain }: WireError): Error {
	if (domain !== undefined) return new NoDomain(domain)
	return new UserError(message, { code, exitCode })
}

/** `pid` is the hypervisor's. */
export function checkVersion(theirs: unknown, side: 'hypervisor' | 'toolstack', pid: number): void {
	if (theirs === XENCTRL_INTERFACE_VERSION) return
	const versions = { [side]: theirs, [side === 'hypervisor' ? 'toolstack' : 'hypervisor']: XENCTRL_INTERFACE_VERSION }
	throw new UserError(
		`the running hypervisor (pid ${pid}) has interface version ${versions.hypervisor}, this toolstack version ${versions.toolstack}: ` +
			'end its domains with the toolstack that started it, or end it with all of them, then try again',
		{ code: 'interface-version' },
	)
}
