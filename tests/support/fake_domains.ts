import type { DomainConfig } from '../../src/toolstack/config.ts'
import { ConsoleBuffer } from '../../src/toolstack/console_buffer.ts'
import type { DomainEnd, DomainFactory, DomainHandle, DomainStatus, ShutdownRequest } from '../../src/toolstack/domain_handle.ts'

/** A domain without a guest: the test says what it writes and how it ends. */
export class FakeDomain implements DomainHandle {
	readonly domid: number
	readonly config: DomainConfig
	readonly console = new ConsoleBuffer(4096)
	readonly storeMfn = 100
	readonly consoleMfn = 101
	readonly ended: Promise<DomainEnd>
	readonly requests: ShutdownRequest[] = []
	/** What was typed at its console. */
	typed = ''
	name: string
	destroyed = false
	private paused = true
	private ending: DomainEnd | undefined
	private resolveEnded: (end: DomainEnd) => void = () => {}

	constructor(domid: number, config: DomainConfig) {
		this.domid = domid
		this.config = config
		this.name = config.name
		this.ended = new Promise((resolve) => {
			this.resolveEnded = resolve
		})
		this.console.setInput((bytes) => {
			this.typed += new TextDecoder().decode(bytes)
		})
	}

	/** The guest writes to its console. */
	say(text: string): void {
		this.console.append(new TextEncoder().encode(text))
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
	pause(): void {
		this.paused = true
	}
	unpause(): void {
		this.paused = false
	}
	requestShutdown(request: ShutdownRequest): void {
		this.requests.push(request)
	}
	rename(name: string): void {
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
