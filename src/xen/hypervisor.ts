/** The hypervisor's control half: domains, its log, and what it says of itself. One for a process; on its main thread. */
import { DOMID_FIRST_RESERVED, shared_info, vcpu_info } from '../abi/xen.ts'
import type { Clock } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { cpuid } from './cpuid.ts'
import { debugKey } from './debug_keys.ts'
import { Domain } from './domain.ts'
import { DomainControl } from './domain_control.ts'
import { initialiseEvents } from './event_ports.ts'
import { EventRouter } from './event_router.ts'
import { initialiseGrants } from './grant_entries.ts'
import { LogRing } from './log_ring.ts'
import type { DomainDescription } from './machine_layout.ts'
import { initialiseMemory } from './mm/memory.ts'
import { initialiseRunstate } from './runstate.ts'
import { TSC_KHZ, writeWallclock } from './time.ts'
import type { LogLevel } from './vcpu.ts'
import { CB_PAUSE_COUNT, controlWord, VS_VCPU_INFO, vcpuWord } from './vcpu_shared.ts'
import type { VcpuThreads } from './vcpu_threads.ts'
import { XEN_CAPABILITIES, XEN_CHANGESET, XEN_EXTRAVERSION, XEN_VERSION_MAJOR, XEN_VERSION_MINOR } from './version.ts'

export interface HypervisorHost {
	readonly clock: Clock
	readonly threads: VcpuThreads
	/** Each line as it enters the log ring, for a server's own log. */
	readonly onLog?: (level: LogLevel, line: string) => void
	/** A domain's memory is nobody's any more, be it one that could not be built. */
	readonly onReleased?: () => void
}

export interface DomainConfig {
	/** 36 characters. */
	readonly uuid: string
	/** 1 for now. */
	readonly vcpus: number
	readonly memory_KiB: number
	/** Default: memory_KiB. */
	readonly maxMemory_KiB?: number
	readonly maxEventChannels?: number
	readonly maxGrantFrames?: number
	/** False: it starts without any frame, and is given those that it is to have (mm/populate.ts). */
	readonly populated?: boolean
	/** The number that it is to have; the next free one without it. */
	readonly domid?: number | undefined
}

/** What `xm info` says of the hypervisor. */
export interface HypervisorInfo {
	/** Guest TSC and virtual CPU. */
	readonly cpu_khz: number
	readonly hw_caps: string
	readonly virt_caps: string
	readonly xen_major: number
	readonly xen_minor: number
	readonly xen_extra: string
	readonly xen_caps: string
	readonly xen_scheduler: string
	readonly xen_pagesize: number
	readonly platform_params: string
	readonly xen_changeset: string
}

const DEFAULT_MAX_PORTS = 1024
const DEFAULT_MAX_GRANT_FRAMES = 64
const MEMORY_MIN_KiB = 4 * 1024
const KIB_PER_FRAME = PAGE_SIZE / 1024

export class Hypervisor {
	readonly log = new LogRing()
	private readonly host: HypervisorHost
	private readonly router = new EventRouter()
	private readonly controls = new Map<number, DomainControl>()
	private nextDomid = 1
	/** Ends when the keys that were sent last have been served. */
	private debugging: Promise<void> = Promise.resolve()

	constructor(host: HypervisorHost) {
		this.host = host
		this.writeLog('info', `Xen version ${XEN_VERSION_MAJOR}.${XEN_VERSION_MINOR}${XEN_EXTRAVERSION}`)
		this.writeLog('info', 'CPU Vendor: AMD, Family 15 (0xf), Model 107 (0x6b), Stepping 1 (raw 00060fb1)')
		this.writeLog('info', `Detected ${(TSC_KHZ / 1000).toFixed(3)} MHz processor.`)
	}

	/** Makes a domain, paused, with zeroed memory and no context. Throws UserError when a figure is out of range or memory is short. */
	async createDomain(config: DomainConfig): Promise<DomainControl> {
		const description = describe(config, this.takeDomid(config.domid))
		const domain = allocate(description, config)
		this.initialise(domain, config.populated === false ? 0 : Math.floor(config.memory_KiB / KIB_PER_FRAME))
		const control = new DomainControl(domain, this.router.attach(domain), {
			clock: this.host.clock,
			threads: this.host.threads,
			log: (level, message) => this.writeLog(level, message),
			released: () => this.release(domain.domid),
		})
		this.controls.set(domain.domid, control)
		return control
	}

	domains(): DomainControl[] {
		return [...this.controls.values()].sort((a, b) => a.domid - b.domid)
	}

	domain(domid: number): DomainControl | undefined {
		return this.controls.get(domid)
	}

	/** Writes to the log what each of the keys stands for (debug_keys.ts), in their order. Those that stand for nothing are ignored, as Xen does. */
	debugKeys(keys: string): Promise<void> {
		const done = this.debugging.then(async () => {
			for (const key of keys) {
				const view = { domains: this.domains(), now_ns: this.host.clock.monotonic_ns() }
				for (const line of await debugKey(key, view)) this.writeLog('info', line)
			}
		})
		this.debugging = done.catch(() => {})
		return done
	}

	info(): HypervisorInfo {
		const [, , ecx, edx] = cpuid(1, 0)
		const [, , extendedEcx, extendedEdx] = cpuid(0x8000_0001, 0)
		return {
			cpu_khz: TSC_KHZ,
			hw_caps: [edx, ecx, extendedEdx, extendedEcx, 0, 0, 0, 0].map((word) => word.toString(16).padStart(8, '0')).join(':'),
			virt_caps: 'pv gnttab-v1 gnttab-v2',
			xen_major: XEN_VERSION_MAJOR,
			xen_minor: XEN_VERSION_MINOR,
			xen_extra: XEN_EXTRAVERSION,
			xen_caps: XEN_CAPABILITIES,
			xen_scheduler: 'credit',
			xen_pagesize: PAGE_SIZE,
			platform_params: 'virt_start=0xffff800000000000',
			xen_changeset: XEN_CHANGESET,
		}
	}

	/** Destroys every domain. */
	async close(): Promise<void> {
		await Promise.all(this.domains().map((control) => control.destroy()))
	}

	private initialise(domain: Domain, frames: number): void {
		const { clock } = this.host
		const { machine, layout } = domain
		const sharedInfo = machine.frameAddress(layout.sharedInfoMfn)
		initialiseMemory(domain, frames)
		for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) {
			machine.u32[vcpuWord(domain, vcpu, VS_VCPU_INFO)] = sharedInfo + shared_info.at.vcpu_info + vcpu * vcpu_info.size
			machine.u8[sharedInfo + vcpu * vcpu_info.size + vcpu_info.at.evtchn_upcall_mask] = 1
			initialiseRunstate(domain, vcpu, clock.monotonic_ns())
		}
		initialiseEvents(domain)
		initialiseGrants(domain)
		writeWallclock(domain, clock)
		machine.u32[controlWord(domain, CB_PAUSE_COUNT)] = 1
	}

	/** Domids count up and start again below the reserved ones, so that one is not used again soon. */
	private takeDomid(wanted?: number): number {
		if (wanted !== undefined) return this.checkDomid(wanted)
		for (let tries = 0; tries < DOMID_FIRST_RESERVED; tries++) {
			const domid = this.nextDomid
			this.nextDomid = domid + 1 < DOMID_FIRST_RESERVED ? domid + 1 : 1
			if (!this.controls.has(domid)) return domid
		}
		throw new UserError(`cannot create a domain: all ${DOMID_FIRST_RESERVED - 1} domain numbers are in use`)
	}

	private checkDomid(domid: number): number {
		if (!Number.isInteger(domid) || domid < 1 || domid >= DOMID_FIRST_RESERVED)
			throw new UserError(`domain number ${domid} is not valid: it must be from 1 to ${DOMID_FIRST_RESERVED - 1}`)
		if (this.controls.has(domid)) throw new UserError(`domain number ${domid} is in use`, { code: 'domid-in-use' })
		return domid
	}

	private release(domid: number): void {
		this.router.detach(domid)
		this.controls.delete(domid)
		this.host.onReleased?.()
	}

	private writeLog(level: LogLevel, message: string): void {
		for (const line of this.log.add(message)) this.host.onLog?.(level, line)
	}
}

function describe(config: DomainConfig, domid: number): DomainDescription {
	const maxMemory_KiB = Math.max(config.maxMemory_KiB ?? 0, config.memory_KiB)
	if (config.vcpus !== 1) throw new UserError(`cannot create a domain with ${config.vcpus} vCPUs: only 1 is supported`)
	if (!Number.isInteger(config.memory_KiB) || config.memory_KiB < MEMORY_MIN_KiB) {
		throw new UserError(`cannot create a domain with ${config.memory_KiB} KiB of memory: at least ${MEMORY_MIN_KiB} KiB are needed`)
	}
	return {
		domid,
		uuid: config.uuid,
		vcpus: config.vcpus,
		maxFrames: Math.ceil(maxMemory_KiB / KIB_PER_FRAME),
		maxPorts: config.maxEventChannels ?? DEFAULT_MAX_PORTS,
		maxGrantFrames: config.maxGrantFrames ?? DEFAULT_MAX_GRANT_FRAMES,
	}
}

function allocate(description: DomainDescription, config: DomainConfig): Domain {
	try {
		return new Domain(description)
	} catch (cause) {
		if (!(cause instanceof RangeError)) throw cause
		const asked = Math.max(config.maxMemory_KiB ?? 0, config.memory_KiB)
		throw new UserError(`cannot create a domain with ${asked} KiB of memory: ${cause.message} (a domain's machine is below 4 GiB)`, {
			cause,
		})
	}
}
