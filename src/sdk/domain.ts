import { resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import type { DomainDetail } from '../daemon/api.ts'
import type { DomainEvent, XendClient } from './client.ts'
import { DomainConsole } from './domain_console.ts'
import { hasCode } from './errors.ts'
import { followEvents } from './followed_events.ts'

export type DomainEnded = Extract<DomainEvent, { type: 'ended' }>

export interface ShutdownOptions {
	/** 'poweroff' is the default. */
	readonly request?: 'poweroff' | 'halt' | 'reboot'
	/** Wait until the guest has ended; false is the default. */
	readonly wait?: boolean
	/** How long to wait; 60 is the default. */
	readonly timeout_s?: number
}

/**
 * One domain. With `await using`, one that create() made is destroyed at the end of the block, unless it has been detached.
 *
 * Calls reject with code 'no-such-domain' when it is gone.
 */
export class Domain implements AsyncDisposable {
	readonly uuid: string
	/** Sentences about configuration variables that have no effect. */
	readonly warnings: readonly string[]
	private readonly client: XendClient
	private currentName: string
	private owned: boolean

	/** `owned`: it goes when this object is disposed of. */
	constructor(
		client: XendClient,
		{ name, uuid }: { readonly name: string; readonly uuid: string },
		owned: boolean,
		warnings: readonly string[] = [],
	) {
		this.client = client
		this.currentName = name
		this.uuid = uuid
		this.owned = owned
		this.warnings = warnings
	}

	get name(): string {
		return this.currentName
	}

	/** Its number changes when it is restarted; null while it is halted. */
	async domid(): Promise<number | null> {
		return (await this.info()).domid
	}

	info(): Promise<DomainDetail> {
		return this.client.domain(this.name)
	}

	/** Its output from as long ago as is kept, and its input. */
	async console(): Promise<DomainConsole> {
		return DomainConsole.open(this.client, this.name)
	}

	pause(): Promise<void> {
		return this.client.pause(this.name)
	}
	unpause(): Promise<void> {
		return this.client.unpause(this.name)
	}
	/** Ends it at once. */
	destroy(): Promise<void> {
		return this.client.destroy(this.name)
	}
	async rename(name: string): Promise<void> {
		await this.client.rename(this.name, name)
		this.currentName = name
	}

	/** Saves it to a file; it goes then, unless it is to run on or to be left paused. Xen.restore() brings it back. */
	async save(path: string, { afterwards = 'destroy' }: { readonly afterwards?: 'destroy' | 'run' | 'pause' } = {}): Promise<void> {
		await this.client.save(this.name, { path: resolve(path), afterwards })
		// What is restored from the file has its name and its uuid, and is another's.
		if (afterwards === 'destroy') this.owned = false
	}

	/** Asks the guest to end; with `wait` resolves with how it has. Rejects with code 'timeout' when it takes too long. */
	shutdown(options: ShutdownOptions & { readonly wait: true }): Promise<DomainEnded>
	shutdown(options?: ShutdownOptions): Promise<DomainEnded | undefined>
	async shutdown({ request = 'poweroff', wait = false, timeout_s = 60 }: ShutdownOptions = {}): Promise<DomainEnded | undefined> {
		const ask = () => this.client.shutdown(this.name, request)
		if (wait) return this.endAfter(ask, timeout_s)
		await ask()
		return undefined
	}

	/** shutdown() with the request 'reboot': its on_reboot says what follows. */
	reboot(options: Omit<ShutdownOptions, 'request'> = {}): Promise<DomainEnded | undefined> {
		return this.shutdown({ ...options, request: 'reboot' })
	}

	/** Waits for the guest's end. */
	ended({ timeout_s = Number.POSITIVE_INFINITY }: { readonly timeout_s?: number } = {}): Promise<DomainEnded> {
		return this.endAfter(async () => {}, timeout_s)
	}

	/** It outlives this object. */
	detach(): this {
		this.owned = false
		return this
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (!this.owned) return
		this.owned = false
		try {
			// Its name may be another's by now.
			const { uuid } = await this.info()
			if (uuid === this.uuid) await this.destroy()
		} catch (error) {
			if (!hasCode(error, 'no-such-domain')) throw error
		}
	}

	private async endAfter(begin: () => Promise<void>, timeout_s: number): Promise<DomainEnded> {
		await using events = await followEvents(this.client)
		const domid = await this.domid()
		if (domid === null) throw new UserError(`Domain '${this.name}' is not running.`, { code: 'not-running' })
		await begin()
		const timer =
			timeout_s === Number.POSITIVE_INFINITY
				? undefined
				: setTimeout(() => void events[Symbol.asyncDispose](), Math.min(timeout_s * 1000, 0x7fffffff))
		// When it has ended already, its end is among the events up to this one, or not told at all.
		let last = Number.POSITIVE_INFINITY
		try {
			for await (const event of events) {
				if (event.type === 'ended' && event.domid === domid) return event
				if (event.type === 'lost' && !(await this.isRunning(domid))) last = await this.newestEvent()
				if (event.seq >= last) throw unseen(this.name)
			}
		} finally {
			clearTimeout(timer)
		}
		throw new UserError(`Domain '${this.name}' did not end within ${timeout_s} s.`, { code: 'timeout' })
	}
	private async newestEvent(): Promise<number> {
		await using events = await this.client.events()
		return events.since
	}

	/** It is here, by this number, and its guest has not ended. */
	private async isRunning(domid: number): Promise<boolean> {
		try {
			const { uuid, domid: current, state } = await this.info()
			return uuid === this.uuid && current === domid && !/[scd]/.test(state)
		} catch (error) {
			if (hasCode(error, 'no-such-domain')) return false
			throw error
		}
	}
}

function unseen(name: string): UserError {
	return new UserError(`Domain '${name}' has ended while no daemon could tell how.`, { code: 'lost' })
}
