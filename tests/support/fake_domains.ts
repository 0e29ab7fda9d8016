import { History } from '../../src/pv/console/history.ts'
import type { DomainConfig } from '../../src/toolstack/config.ts'
import type {
	DomainConsole,
	DomainEnd,
	DomainFactory,
	DomainHandle,
	DomainStatus,
	ShutdownRequest,
} from '../../src/toolstack/domain_handle.ts'

class FakeConsole implements DomainConsole {
	/** What was typed. */
	typed = ''
	private readonly kept = new History(4096)
	private readonly listeners = new Set<(bytes: Uint8Array) => void>()

	say(text: string): void {
		const bytes = new TextEncoder().encode(text)
		this.kept.append(bytes)
		for (const listener of this.listeners) listener(bytes)
	}
	history(position = 0): ReturnType<DomainConsole['history']> {
		return { start: Math.max(position, this.kept.start), end: this.kept.end, bytes: this.kept.read(position) }
	}
	subscribe(listener: (bytes: Uint8Array) => void): () => void {
		this.listeners.add(listener)
		return () => void this.listeners.delete(listener)
	}
	write(bytes: Uint8Array): number {
		this.typed += new TextDecoder().decode(bytes)
		return bytes.length
	}
	onInputSpace(): () => void {
		return () => {}
	}
}

/** A domain without a guest: the test says what it writes and how it ends. */
export class FakeDomain implements DomainHandle {
	readonly domid: number
	readonly config: DomainConfig
	readonly console = new FakeConsole()
	readonly storeMfn = 100
	readonly consoleMfn = 101
	readonly ended: Promise<DomainEnd>
	readonly requests: ShutdownRequest[] = []
	name: string
	destroyed = false
	paused = true
	private ending: DomainEnd | undefined
	private resolveEnded: (end: DomainEnd) => void = () => {}

	constructor(domid: number, config: DomainConfig) {
		this.domid = domid
		this.config = config
		this.name = config.name
		this.ended = new Promise((resolve) => {
			this.resolveEnded = resolve
		})
	}

	/** The guest writes to its console. */
	say(text: string): void {
		this.console.say(text)
	}

	/** The guest ends by itself. */
	end(reason: DomainEnd['reason'], detail?: string): void {
		this.ending = { reason, detail }
		this.resolveEnded(this.ending)
	}

	status(): DomainStatus {
		return {
			running: false,
			blocked: !this.paused && this.ending === undefined,
			paused: this.paused,
			shutdown: this.ending !== undefined,
			crashed: this.ending?.reason === 'crash',
			dying: false,
			cpuTime_s: 1.5,
			memory_kib: this.config.memory_mib * 1024,
			onlineVcpus: this.config.vcpus,
		}
	}
	async pause(): Promise<void> {
		this.paused = true
	}
	unpause(): void {
		this.paused = false
	}
	async requestShutdown(request: ShutdownRequest): Promise<void> {
		this.requests.push(request)
	}
	async rename(name: string): Promise<void> {
		this.name = name
	}
	async destroy(): Promise<void> {
		this.destroyed = true
	}
}

export class FakeFactory implements DomainFactory {
	readonly domains: FakeDomain[] = []
	/** Set to make the next creation fail. */
	failure: Error | undefined

	async create(config: DomainConfig & { readonly uuid: string }): Promise<FakeDomain> {
		await Promise.resolve()
		if (this.failure !== undefined) throw this.failure
		const domain = new FakeDomain(this.domains.length + 1, config)
		this.domains.push(domain)
		return domain
	}

	get last(): FakeDomain {
		return this.domains.at(-1) as FakeDomain
	}
}
