/**
 * The hypervisor as the toolstack sees it: what a real Xen offers dom0 through libxenctrl, libxenguest and xenconsoled together.
 *
 * Implemented by LocalXen in the hypervisor's own process, and by RemoteXen over its socket. Operations that name a domain take its
 * number or its uuid, and reject with NoDomain when there is none.
 */
import { UserError } from '../base/errors.ts'
import type { HypervisorInfo } from '../xen/hypervisor.ts'

/**
 * Both ends of the socket must have the same, as with XEN_DOMCTL_INTERFACE_VERSION: it counts up with every change that an end of the
 * version before would misunderstand.
 */
export const XENCTRL_INTERFACE_VERSION = 7

/** What a console keeps of its output. */
export const CONSOLE_LIMIT_BYTES = 1024 * 1024

/** A domain's number or uuid. */
export type DomainRef = number | string

/** What a domain is built from. Images are read by the hypervisor's process: a domain's memory can't be given to another. */
export interface DomainSpec {
	/** 36 characters, lower case. No two domains have the same. */
	readonly uuid: string
	readonly vcpus: number
	readonly memory_kib: number
	readonly maxMemory_kib: number
	/** Absolute paths. */
	readonly kernel: string
	readonly ramdisk?: string | undefined
	readonly commandLine: string
	/** What its console keeps of its output; CONSOLE_LIMIT_BYTES without it. */
	readonly consoleLimit_bytes?: number
	/** False: its translated code is neither taken from the translation cache nor kept there. */
	readonly translationCache?: boolean
}

/** What a domain is restored from. */
export interface RestoreSpec extends Pick<DomainSpec, 'uuid' | 'vcpus' | 'maxMemory_kib' | 'consoleLimit_bytes' | 'translationCache'> {
	/** Absolute path of the file that it was saved to. */
	readonly path: string
	/** The number that it is to have; refused when another has it. The next free one without it. */
	readonly domid?: number | undefined
}

/** SHUTDOWN_* of the public sched.h, by xend's names. */
export type ShutdownReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft_reset'

export interface DomainEnd {
	readonly reason: ShutdownReason
	/** For a crash: what the hypervisor or the guest said of it. */
	readonly detail?: string | undefined
}

/** XEN_DOMCTL_getvcpuinfo. */
export interface VcpuState {
	readonly online: boolean
	readonly running: boolean
	readonly blocked: boolean
	readonly cpuTime_s: number
}

/** XEN_DOMCTL_getdomaininfo: the six flags of `xm list`, in its order, and figures. */
export interface DomainState {
	readonly domid: number
	readonly uuid: string
	readonly running: boolean
	readonly blocked: boolean
	readonly paused: boolean
	/** Its guest has ended, crashed included: it stays until it is destroyed. */
	readonly shutdown: boolean
	readonly crashed: boolean
	readonly dying: boolean
	readonly end: DomainEnd | undefined
	readonly cpuTime_s: number
	readonly memory_kib: number
	/** What it may have at most; XEN_DOMCTL_max_mem. */
	readonly maxMemory_kib: number
	readonly vcpus: number
	readonly onlineVcpus: number
	/** By number. */
	readonly vcpuStates: readonly VcpuState[]
	/** Where the builder has put the rings of store and console: the guest's frames and its ports, unbound and waiting for dom0. */
	readonly storeMfn: number
	readonly storePort: number
	readonly consoleMfn: number
	readonly consolePort: number
}

export interface XenInfo extends HypervisorInfo {
	/** Differs each time the hypervisor starts: no domain outlives it. */
	readonly bootId: string
	readonly pid: number
	/** Processor time of everything in the hypervisor's process but the vCPUs. */
	readonly dom0Time_s: number
}

/** XEN_DOMCTL_SENDTRIGGER_*. */
export const TRIGGERS = ['nmi', 'reset', 'init', 'power', 's3resume'] as const
export type Trigger = (typeof TRIGGERS)[number]

/** As VIRQ_DOM_EXC tells dom0, with the domain. */
export type XenEvent =
	| { readonly type: 'shutdown'; readonly domid: number; readonly uuid: string; readonly end: DomainEnd }
	| { readonly type: 'destroyed'; readonly domid: number; readonly uuid: string }

export interface XenControl {
	info(): Promise<XenInfo>
	/** Builds a domain, paused. If there is one of this uuid already, that one is meant. Throws UserError; leaves nothing behind when it does. */
	createDomain(spec: DomainSpec): Promise<DomainState>
	/** By number. Domains that are still being built are not among them. */
	domains(): Promise<DomainState[]>
	/** Resolves when its processors have stopped. Pausing what is paused, and unpausing what is not, does nothing. */
	pause(domain: DomainRef): Promise<void>
	unpause(domain: DomainRef): Promise<void>
	/** Frees the domain and all it holds, also while it is being built. Its number, or null when there is none. */
	destroy(domain: DomainRef): Promise<number | null>
	/** XEN_DOMCTL_setdomainhandle. */
	setUuid(domain: DomainRef, uuid: string): Promise<void>
	/** XEN_DOMCTL_max_mem. Throws UserError above what its machine was made with. */
	setMaxMemory(domain: DomainRef, kib: number): Promise<void>
	/** XEN_DOMCTL_sendtrigger. Throws UserError for a trigger that is not for a paravirtual domain, and for a vCPU that it does not have. */
	sendTrigger(domain: DomainRef, trigger: Trigger, vcpu: number): Promise<void>
	/**
	 * Writes a core (xen/dump_core.ts) to a file of the hypervisor's host, over one that is there; the domain does not run meanwhile, unless `live`.
	 * Leaves no file when it fails. Returns the bytes written.
	 */
	dumpCore(domain: DomainRef, path: string, live: boolean): Promise<number>
	/**
	 * Writes a domain that has shut down to be suspended to a file, over one that is there: Xen's migration stream (migration/). `config` is libxl's JSON of the domain.
	 * When it resolves, the file is durable; it leaves no file when it fails. Returns the bytes written. Throws UserError when the domain is not suspended.
	 */
	saveDomain(domain: DomainRef, path: string, config: string): Promise<number>
	/** The configuration in the file of a saved domain. Throws UserError. */
	savedConfig(path: string): Promise<string>
	/** Builds a domain from its file, paused, as createDomain() does. */
	restoreDomain(spec: RestoreSpec): Promise<DomainState>
	/** XEN_DOMCTL_resumedomain: a suspended domain goes on as if that had been cancelled. False when it is not suspended. */
	resumeDomain(domain: DomainRef): Promise<boolean>
	/**
	 * Joins a domain's console: what is kept of the past from a place on (as ConsoleReader.place() says; 0 without it), then what comes,
	 * from the session's first resume() on. For a while this goes for domains that are gone, too. A `typist` types on where the session before with that name
	 * ended, and ends it: the reader is told how much of what was typed is the guest's.
	 */
	openConsole(domid: number, reader: ConsoleReader, from?: number, typist?: string): Promise<ConsoleSession>
	/** What `xm dmesg` shows; `clear` empties it as well. */
	log(clear: boolean): Promise<string>
	/** XEN_SYSCTL_debug_keys: writes to the log what each of the keys stands for. Resolves when it is there. */
	debugKeys(keys: string): Promise<void>
	/** Every event from the call's start on, in order. Returns how to end it. */
	onEvent(listener: (event: XenEvent) => void): () => void
	/** Ends the hypervisor if it has no domain; the answer says whether. */
	stopIfIdle(): Promise<boolean>
}

export interface ConsoleReader {
	/** False when it can take no more for now: nothing comes until resume(). The bytes must not be changed. */
	output(bytes: Uint8Array): boolean
	/** So many bytes have left the history before this reader took them. */
	lost(count: number): void
	/** What output() is given next comes after so many bytes of all that the guest has written. Said first, and again after lost(). */
	place(position: number): void
	/** The guest has taken so many bytes of all that the typist has typed. Said first, before place(), and whenever it has taken more; never without a typist. */
	taken(count: number): void
	/** After a write() that said false: the guest takes input again. */
	inputSpace(): void
	/** The hypervisor is gone: nothing comes any more. */
	closed(): void
}

/** One reader's conversation with a console. */
export interface ConsoleSession {
	/** Passes input to the guest. False when there is more waiting than the guest takes: hold back until inputSpace(). */
	write(bytes: Uint8Array): boolean
	resume(): void
	/** Resolves once the reader has been given all that the guest has written before this call. */
	drained(): Promise<void>
	close(): void
}

export class NoDomain extends UserError {
	readonly domain: DomainRef
	constructor(domain: DomainRef) {
		super(`there is no domain ${domain}`, { code: 'no-domain', exitCode: 3 })
		this.name = 'NoDomain'
		this.domain = domain
	}
}

/** The connection to the hypervisor is broken: its process has ended. */
export class HypervisorGone extends UserError {
	constructor() {
		super('the connection to the hypervisor is lost', { code: 'hypervisor-gone' })
		this.name = 'HypervisorGone'
	}
}
