import { resolve } from 'node:path'
import type { ConfigJson, DomainInfo, HostInfo } from '../daemon/api.ts'
import { openRunDir } from '../daemon/rundir.ts'
import type { DomainEvent, XendClient } from './client.ts'
import { connect as connectClient } from './connect.ts'
import { Domain } from './domain.ts'
import { followEvents } from './followed_events.ts'

type ExitAction = 'destroy' | 'restart' | 'preserve' | 'rename-restart'

/** A domain configuration's variables: those most used, by type, and any other of man xmdomain.cfg. */
export interface DomainVariables {
	readonly name: string
	/** Paths on the host; a relative one is taken from the working directory. */
	readonly kernel: string
	readonly ramdisk?: string | undefined
	/** MiB. */
	readonly memory?: number
	readonly vcpus?: number
	readonly root?: string
	/** More of the kernel's command line. */
	readonly extra?: string
	readonly on_poweroff?: ExitAction
	readonly on_reboot?: ExitAction
	readonly on_crash?: ExitAction | 'coredump-destroy' | 'coredump-restart'
	readonly [variable: string]: ConfigJson | undefined
}

export interface EventOptions {
	/** Begin with the event after this number: one that an earlier stream gave. */
	readonly since?: number
}

export interface XenOptions {
	/** The run directory, as XENOTYPE_RUNDIR gives it: each has a daemon, a hypervisor and domains of its own. */
	readonly directory?: string
	/** Hears why it takes long. */
	readonly report?: (line: string) => void
}

/** A client of this user's daemon, which is started when it is not running. */
export async function connect({ directory, report = () => {} }: XenOptions = {}): Promise<Xen> {
	const rundir = openRunDir(directory === undefined ? process.env : { ...process.env, XENOTYPE_RUNDIR: resolve(directory) })
	const { client } = await connectClient({ rundir, report })
	return new Xen(client)
}

/** The host's domains. Calls reject with XenError. */
export class Xen {
	/** One method a call of the API. */
	readonly client: XendClient

	constructor(client: XendClient) {
		this.client = client
	}

	/** Creates a domain, and starts it unless `paused`. */
	async create(variables: DomainVariables, { paused = false }: { readonly paused?: boolean } = {}): Promise<Domain> {
		const values: Record<string, ConfigJson> = {}
		for (const [name, value] of Object.entries(variables)) if (value !== undefined) values[name] = value
		for (const name of ['kernel', 'ramdisk']) if (typeof values[name] === 'string') values[name] = resolve(values[name])
		const { domain, warnings } = await this.client.create({ values, paused })
		return new Domain(this.client, domain, true, warnings)
	}

	/** Brings back a domain that was saved to a file, which stays; it runs unless `paused`. */
	async restore(path: string, { paused = false }: { readonly paused?: boolean } = {}): Promise<Domain> {
		const { domain, warnings } = await this.client.restore({ path: resolve(path), paused })
		return new Domain(this.client, domain, true, warnings)
	}

	/** One that there is, by name or number. It outlives the object. */
	async domain(reference: string | number): Promise<Domain> {
		return new Domain(this.client, await this.client.domain(String(reference)), false)
	}

	/** Domain 0, then every other. */
	list(): Promise<DomainInfo[]> {
		return this.client.list()
	}

	/** What the host and its hypervisor are: the lines of `xm info`. */
	info(): Promise<HostInfo> {
		return this.client.host()
	}

	/**
	 * What happens to domains from now on, or since a number: collected from when the promise resolves. A stream outlives its daemon when
	 * another takes its place within ten seconds; 'lost' says that there may have been events which nobody tells.
	 */
	events({ since }: EventOptions = {}): Promise<AsyncGenerator<DomainEvent, undefined> & AsyncDisposable> {
		return followEvents(this.client, since)
	}
}
