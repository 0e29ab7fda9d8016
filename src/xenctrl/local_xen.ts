import { UserError } from '../base/errors.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { DomainControl } from '../xen/domain_control.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { shutdownReasonName } from '../xen/shutdown.ts'
import { ConsoleReading } from './console_reading.ts'
import { type BuiltGuest, buildGuest, type ReadImage } from './guest_builder.ts'
import {
	type ConsoleReader,
	type ConsoleSession,
	type DomainEnd,
	type DomainRef,
	type DomainSpec,
	type DomainState,
	NoDomain,
	type ShutdownReason,
	type XenControl,
	type XenEvent,
	type XenInfo,
} from './interface.ts'
import { KeptConsoles } from './kept_consoles.ts'

const KIB_PER_FRAME = PAGE_SIZE / 1024

export interface LocalXenOptions {
	readonly hypervisor: Hypervisor
	readonly readImage: ReadImage
	readonly bootId: string
	/** 0 where there are no processes. */
	readonly pid?: number
	readonly dom0Time_s?: () => number
	/** Called when the last domain is gone and stopIfIdle() was asked for. */
	readonly stop?: () => void
}

interface LiveDomain extends BuiltGuest {
	uuid: string
	readonly vcpus: number
	paused: boolean
	end: DomainEnd | undefined
	death: Promise<void> | undefined
}

/** The hypervisor of this process. */
export class LocalXen implements XenControl {
	private readonly options: LocalXenOptions
	private readonly live = new Map<number, LiveDomain>()
	/** Being built, by uuid. */
	private readonly building = new Map<string, Promise<LiveDomain>>()
	private readonly kept = new KeptConsoles()
	private readonly listeners = new Set<(event: XenEvent) => void>()

	constructor(options: LocalXenOptions) {
		this.options = options
	}

	/** For what must touch the domain itself: dom0's backends, and tools of the developer. */
	control(domid: number): DomainControl | undefined {
		return this.live.get(domid)?.control
	}

	async info(): Promise<XenInfo> {
		const { hypervisor, bootId, pid = 0, dom0Time_s = () => 0 } = this.options
		return { ...hypervisor.info(), bootId, pid, dom0Time_s: dom0Time_s() }
	}

	async createDomain(spec: DomainSpec): Promise<DomainState> {
		const present = this.building.get(spec.uuid) ?? this.lookUp(spec.uuid)
		if (present !== undefined) return this.state(await present)
		const built = this.build(spec)
		this.building.set(spec.uuid, built)
		try {
			return this.state(await built)
		} finally {
			this.building.delete(spec.uuid)
		}
	}

	async domains(): Promise<DomainState[]> {
		return [...this.live.values()].sort((a, b) => a.control.domid - b.control.domid).map((domain) => this.state(domain))
	}

	async pause(ref: DomainRef): Promise<void> {
		const domain = this.find(ref)
		if (domain.paused) return
		domain.paused = true
		await domain.control.pause()
	}

	async unpause(ref: DomainRef): Promise<void> {
		const domain = this.find(ref)
		if (!domain.paused) return
		domain.paused = false
		domain.control.unpause()
	}

	async destroy(ref: DomainRef): Promise<number | null> {
		if (typeof ref === 'string') await this.building.get(ref)?.catch(() => {})
		const domain = this.lookUp(ref)
		if (domain === undefined) return null
		domain.death ??= this.die(domain)
		await domain.death
		return domain.control.domid
	}

	async setUuid(ref: DomainRef, uuid: string): Promise<void> {
		const domain = this.find(ref)
		const other = this.lookUp(uuid)
		if (other !== undefined && other !== domain) throw new UserError(`domain ${other.control.domid} has the uuid ${uuid} already`)
		domain.uuid = uuid
	}

	async openConsole(domid: number, reader: ConsoleReader): Promise<ConsoleSession> {
		const console = this.live.get(domid)?.console ?? this.kept.get(domid)
		if (console === undefined) throw new NoDomain(domid)
		return new ConsoleReading(console, reader)
	}

	async log(clear: boolean): Promise<string> {
		const { log } = this.options.hypervisor
		const text = log.read()
		if (clear) log.clear()
		return text
	}

	debugKeys(keys: string): Promise<void> {
		return this.options.hypervisor.debugKeys(keys)
	}

	onEvent(listener: (event: XenEvent) => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	async stopIfIdle(): Promise<boolean> {
		if (!this.idle) return false
		this.options.stop?.()
		return true
	}

	get idle(): boolean {
		return this.live.size === 0 && this.building.size === 0
	}

	/** Destroys every domain. */
	async close(): Promise<void> {
		await Promise.allSettled(this.building.values())
		await Promise.all([...this.live.keys()].map((domid) => this.destroy(domid)))
	}

	private async build(spec: DomainSpec): Promise<LiveDomain> {
		const guest = await buildGuest(this.options.hypervisor, this.options.readImage, spec)
		const domain: LiveDomain = { ...guest, uuid: spec.uuid, vcpus: spec.vcpus, paused: true, end: undefined, death: undefined }
		const { control, console } = domain
		this.live.set(control.domid, domain)
		control.onShutdown((reason, detail) => {
			console.onEvent()
			domain.end = { reason: (shutdownReasonName[reason] ?? 'crash') as ShutdownReason, detail }
			this.emit({ type: 'shutdown', domid: control.domid, uuid: domain.uuid, end: domain.end })
		})
		return domain
	}

	private async die(domain: LiveDomain): Promise<void> {
		const { control, console } = domain
		await control.destroy()
		console.disconnect()
		this.live.delete(control.domid)
		this.kept.keep(control.domid, console)
		this.emit({ type: 'destroyed', domid: control.domid, uuid: domain.uuid })
	}

	private state({ control, uuid, vcpus, end, storeMfn, storePort, consoleMfn, consolePort }: LiveDomain): DomainState {
		const { running, blocked, paused, shutdown, crashed, dying, cpuTime_ns, currentFrames, maxFrames, onlineVcpus, vcpuStates } =
			control.info()
		const flags = { running, blocked, paused, shutdown, crashed, dying }
		return {
			domid: control.domid,
			uuid,
			...flags,
			end,
			cpuTime_s: cpuTime_ns / 1e9,
			memory_kib: currentFrames * KIB_PER_FRAME,
			maxMemory_kib: maxFrames * KIB_PER_FRAME,
			vcpus,
			// The first processor is online from the start, in Xen's terms; here its thread must come up first.
			onlineVcpus: Math.max(1, onlineVcpus),
			vcpuStates: vcpuStates.map(({ cpuTime_ns, online, ...vcpu }, n) => ({
				...vcpu,
				online: online || n === 0,
				cpuTime_s: cpuTime_ns / 1e9,
			})),
			storeMfn,
			storePort,
			consoleMfn,
			consolePort,
		}
	}

	private find(ref: DomainRef): LiveDomain {
		const domain = this.lookUp(ref)
		if (domain === undefined) throw new NoDomain(ref)
		return domain
	}

	private lookUp(ref: DomainRef): LiveDomain | undefined {
		if (typeof ref === 'number') return this.live.get(ref)
		return [...this.live.values()].find((domain) => domain.uuid === ref)
	}

	private emit(event: XenEvent): void {
		for (const listener of [...this.listeners]) listener(event)
	}
}
