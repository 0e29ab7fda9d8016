import { UserError } from '../../src/base/errors.ts'
import { ConsoleBackend } from '../../src/pv/console/backend.ts'
import { ConsoleFrontend } from '../../src/pv/console/frontend.ts'
import type { Host } from '../../src/toolstack/domain_steps.ts'
import { ConsoleReading, Typists } from '../../src/xenctrl/console_reading.ts'
import {
	type ConsoleReader,
	type ConsoleSession,
	type DomainEnd,
	type DomainRef,
	type DomainSpec,
	type DomainState,
	NoDomain,
	type RestoreSpec,
	type Trigger,
	type XenControl,
	type XenEvent,
	type XenInfo,
} from '../../src/xenctrl/interface.ts'
import { KeptConsoles, type KeptLimits } from '../../src/xenctrl/kept_consoles.ts'
import { connectInProcess } from '../../src/xenstore/client.ts'
import type { Path } from '../../src/xenstore/path.ts'
import { XenstoreServer } from '../../src/xenstore/server.ts'
import { TestHost } from '../../src/xenstore/test_guest.ts'

/** A domain without a guest: the test says what it writes and how it ends. */
export class FakeDomain {
	readonly domid: number
	readonly spec: DomainSpec
	readonly console: ConsoleBackend
	uuid: string
	destroyed = false
	paused = true
	ending: DomainEnd | undefined
	private readonly guest: ConsoleFrontend
	private readonly xen: FakeXen
	private typedBefore = ''
	/** What was asked of it through control/shutdown. */
	readonly requests: string[] = []
	/** It suspends itself when it is asked to. */
	suspends = true
	maxMemory_kib: number
	readonly triggers: string[] = []
	readonly cores: { readonly path: string; readonly live: boolean }[] = []

	constructor(xen: FakeXen, domid: number, spec: DomainSpec) {
		this.xen = xen
		this.domid = domid
		this.spec = spec
		this.uuid = spec.uuid
		this.maxMemory_kib = spec.maxMemory_kib
		const page = new Uint8Array(new SharedArrayBuffer(4096))
		this.console = new ConsoleBackend({ page, notify: () => {} }, { history_bytes: 4096 })
		this.guest = new ConsoleFrontend({ page, notify: () => this.console.onEvent() })
		const path = `/local/domain/${domid}/control/shutdown`
		xen.watch(path, () => {
			const request = xen.node(path)
			if (request) this.requests.push(request)
			if (request === 'suspend' && this.suspends) this.end('suspend')
		})
	}

	/** What was typed at its console. */
	get typed(): string {
		this.typedBefore += new TextDecoder().decode(this.guest.read())
		return this.typedBefore
	}

	/** The name in its XenStore nodes. */
	get name(): string {
		return this.xen.node(`/local/domain/${this.domid}/name`) ?? ''
	}

	/** The guest writes to its console. */
	say(text: string): void {
		for (let bytes = new TextEncoder().encode(text); bytes.length > 0; ) bytes = bytes.slice(this.guest.write(bytes))
	}

	/** The guest ends by itself. */
	end(reason: DomainEnd['reason'], detail?: string): void {
		this.ending = { reason, detail }
		this.xen.emit({ type: 'shutdown', domid: this.domid, uuid: this.uuid, end: this.ending })
	}

	/** Its suspending has been cancelled. */
	goOn(): void {
		this.ending = undefined
	}

	get state(): DomainState {
		return {
			domid: this.domid,
			uuid: this.uuid,
			running: false,
			blocked: !this.paused && this.ending === undefined,
			paused: this.paused,
			shutdown: this.ending !== undefined,
			crashed: this.ending?.reason === 'crash',
			dying: false,
			end: this.ending,
			cpuTime_s: 1.5,
			memory_kib: this.spec.memory_kib,
			maxMemory_kib: this.maxMemory_kib,
			vcpus: this.spec.vcpus,
			onlineVcpus: this.spec.vcpus,
			vcpuStates: [{ online: true, running: false, blocked: !this.paused, cpuTime_s: 1.5 }],
			storeMfn: 100,
			storePort: 1,
			consoleMfn: 101,
			consolePort: 2,
		}
	}
}

/** A hypervisor whose domains have no guests, and its XenStore. */
export class FakeXen implements XenControl {
	/** All that were ever made. */
	readonly domainsMade: FakeDomain[] = []
	readonly store = new XenstoreServer({ ringHost: new TestHost(), defer: setImmediate })
	readonly bootId: string
	/** Of saved domains: their configurations. */
	readonly files = new Map<string, string>()
	/** Set to make the next creation fail. */
	failure: Error | undefined
	private readonly kept: KeptConsoles
	private readonly typists = new Typists()
	private readonly listeners = new Set<(event: XenEvent) => void>()
	private readonly dom0 = this.store.store.openSession(0, () => {})
	private logged = '(XEN) hello\n'

	constructor(bootId = 'boot-1', kept?: KeptLimits) {
		this.bootId = bootId
		this.kept = new KeptConsoles(kept)
	}

	/** A toolstack's connection to it. */
	connect(): Host {
		return { xen: this, store: connectInProcess(this.store), bootId: this.bootId }
	}

	get last(): FakeDomain {
		return this.domainsMade.at(-1) as FakeDomain
	}

	get live(): FakeDomain[] {
		return this.domainsMade.filter(({ destroyed }) => !destroyed)
	}

	/** A node's value in its store. */
	node(path: string): string | undefined {
		const value = this.store.store.execute(this.dom0, 0, { kind: 'read', path: path as Path })
		return value instanceof Uint8Array ? new TextDecoder().decode(value) : undefined
	}

	/** Calls `onChange` when the node is written. */
	watch(path: string, onChange: () => void): void {
		this.store.store.watch(this.store.store.openSession(0, onChange), path, 'test')
	}

	emit(event: XenEvent): void {
		for (const listener of [...this.listeners]) listener(event)
	}

	async info(): Promise<XenInfo> {
		return {
			bootId: this.bootId,
			pid: process.pid,
			dom0Time_s: 0,
			cpu_khz: 2445428,
			hw_caps: '00000000',
			virt_caps: 'pv',
			xen_major: 4,
			xen_minor: 17,
			xen_extra: '.0',
			xen_caps: 'xen-3.0-x86_64',
			xen_scheduler: 'credit',
			xen_pagesize: 4096,
			platform_params: 'virt_start=0xffff800000000000',
			xen_changeset: '',
		}
	}
	async createDomain(spec: DomainSpec, domid?: number): Promise<DomainState> {
		await Promise.resolve()
		if (this.failure !== undefined) throw this.failure
		const present = this.lookUp(spec.uuid)
		if (present !== undefined) return present.state
		if (this.live.some((domain) => domain.domid === domid)) throw new UserError(`domain number ${domid} is in use`)
		const domain = new FakeDomain(this, domid ?? Math.max(0, ...this.domainsMade.map((made) => made.domid)) + 1, spec)
		this.domainsMade.push(domain)
		return domain.state
	}
	async domains(): Promise<DomainState[]> {
		return this.live.map(({ state }) => state)
	}
	async pause(ref: DomainRef): Promise<void> {
		this.find(ref).paused = true
	}
	async unpause(ref: DomainRef): Promise<void> {
		this.find(ref).paused = false
	}
	async destroy(ref: DomainRef): Promise<number | null> {
		const domain = this.lookUp(ref)
		if (domain === undefined) return null
		domain.destroyed = true
		domain.console.disconnect()
		this.kept.keep(domain.domid, domain.console)
		this.store.domains.gone(domain.domid)
		this.emit({ type: 'destroyed', domid: domain.domid, uuid: domain.uuid })
		return domain.domid
	}
	async setUuid(ref: DomainRef, uuid: string): Promise<void> {
		this.find(ref).uuid = uuid
	}
	async setMaxMemory(ref: DomainRef, kib: number): Promise<void> {
		this.find(ref).maxMemory_kib = kib
	}
	async sendTrigger(ref: DomainRef, trigger: Trigger, vcpu: number): Promise<void> {
		this.find(ref).triggers.push(`${trigger} ${vcpu}`)
	}
	async dumpCore(ref: DomainRef, path: string, live: boolean): Promise<number> {
		this.find(ref).cores.push({ path, live })
		return 4096
	}
	async openConsole(domid: number, reader: ConsoleReader, from = 0, typist?: string): Promise<ConsoleSession> {
		const console = this.lookUp(domid)?.console ?? this.kept.get(domid)
		if (console === undefined) throw new NoDomain(domid)
		return new ConsoleReading(console, reader, from, typist === undefined ? undefined : this.typists.of(console, typist))
	}
	async saveDomain(ref: DomainRef, path: string, config: string): Promise<number> {
		const domain = this.find(ref)
		if (domain.state.end?.reason !== 'suspend') throw new UserError(`domain ${domain.domid} is not suspended`)
		if (this.failure !== undefined) throw this.failure
		this.files.set(path, config)
		return config.length
	}
	async savedConfig(path: string): Promise<string> {
		const config = this.files.get(path)
		if (config === undefined) throw new UserError(`Unable to read file ${path}: No such file or directory`)
		return config
	}
	async restoreDomain({ path, domid, ...spec }: RestoreSpec): Promise<DomainState> {
		await this.savedConfig(path)
		return this.createDomain({ ...spec, memory_kib: spec.maxMemory_kib, kernel: path, commandLine: '' }, domid)
	}
	async resumeDomain(ref: DomainRef): Promise<boolean> {
		const domain = this.find(ref)
		const wasSuspended = domain.state.end?.reason === 'suspend'
		if (wasSuspended) domain.goOn()
		return wasSuspended
	}
	async log(clear: boolean): Promise<string> {
		const text = this.logged
		if (clear) this.logged = ''
		return text
	}
	onEvent(listener: (event: XenEvent) => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}
	async debugKeys(keys: string): Promise<void> {
		this.logged += `(XEN) keys ${keys}\n`
	}

	async stopIfIdle(): Promise<boolean> {
		return this.live.length === 0
	}

	private find(ref: DomainRef): FakeDomain {
		const domain = this.lookUp(ref)
		if (domain === undefined) throw new NoDomain(ref)
		return domain
	}

	private lookUp(ref: DomainRef): FakeDomain | undefined {
		return this.live.find(({ domid, uuid }) => domid === ref || uuid === ref)
	}
}

/** Lets everything that is under way without a timer come to its end. */
export async function settle(): Promise<void> {
	for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
}
