import { ext_vcpucontext } from '../abi/domctl.ts'
import { SHUTDOWN_crash, SHUTDOWN_suspend } from '../abi/sched.ts'
import { RUNSTATE_blocked, RUNSTATE_running } from '../abi/vcpu.ts'
import { vcpu_guest_context } from '../abi/xen.ts'
import type { Clock } from '../base/clock.ts'
import { InternalError } from '../base/errors.ts'
import { RAX } from '../x86/cpu.ts'
import { DEBUG_CONTEXT } from './debug_report.ts'
import type { Domain } from './domain.ts'
import { allocUnbound } from './event_channel.ts'
import type { BackendPort, BackendPorts } from './event_router.ts'
import { initialiseRunstate, readRunstate } from './runstate.ts'
import { shutdownDomain, shutdownReason } from './shutdown.ts'
import { shiftedClock, writeWallclock } from './time.ts'
import type { LogLevel } from './vcpu.ts'
import type { SavedContext } from './vcpu_restore.ts'
import {
	CB_CURRENT_FRAMES,
	CB_DYING,
	CB_FRAME_LIMIT,
	CB_PAUSE_COUNT,
	CB_SHUTDOWN,
	CB_SHUTDOWN_CODE,
	controlWord,
	VS_DEBUG,
	VS_NMI_PENDING,
	VS_ONLINE,
	VS_PARKED,
	VS_VIRQ_REQUESTS,
	vcpuWord,
} from './vcpu_shared.ts'
import type { InitialContext } from './vcpu_start.ts'
import type { PreparedThread, VcpuThread, VcpuThreads } from './vcpu_threads.ts'
import { wakeAllVcpus, wakeVcpu } from './wake.ts'

/** How long a dying vCPU thread may take to notice before it is stopped by force. */
const DEATH_ms = 1000
/** How long a vCPU may take to tell of itself: on a busy host its thread may take seconds to start. */
const SILENCE_ms = 30_000

/** What SCHEDOP_shutdown with SHUTDOWN_suspend returns to a guest that goes on where it was. */
const SUSPEND_CANCEL = 1

/** XEN_DOMCTL_getvcpuinfo. */
export interface VcpuInfo {
	readonly online: boolean
	readonly running: boolean
	readonly blocked: boolean
	/** In RUNSTATE_running. */
	readonly cpuTime_ns: number
}

/** XEN_DOMCTL_getdomaininfo. The flags are those of `xm list`. */
export interface DomainInfo {
	readonly running: boolean
	readonly blocked: boolean
	readonly paused: boolean
	readonly shutdown: boolean
	readonly crashed: boolean
	readonly dying: boolean
	/** All vCPUs' time in RUNSTATE_running. */
	readonly cpuTime_ns: number
	readonly vcpus: number
	readonly onlineVcpus: number
	readonly vcpuStates: readonly VcpuInfo[]
	readonly currentFrames: number
	readonly maxFrames: number
}

export interface DomainControlHost {
	readonly clock: Clock
	readonly threads: VcpuThreads
	log(level: LogLevel, message: string): void
	/** The domain is gone; its domid may be used again. */
	released(domain: Domain): void
}

/** The guest's end as the toolstack hears of it. */
export type ShutdownListener = (reason: number, crashReason?: string) => void

/** What Xen offers to dom0's toolstack and backends for one domain. */
export class DomainControl {
	readonly domain: Domain
	private readonly host: DomainControlHost
	private readonly ports: BackendPorts
	private readonly prepared: PreparedThread
	private readonly threads: VcpuThread[] = []
	private readonly endings: Promise<void>[] = []
	private readonly listeners = new Set<ShutdownListener>()
	/** Takes the vCPU's answer to a debug request. */
	private report: (lines: readonly string[]) => void = () => {}
	/** Ends when the debug report that was asked for last has come; undefined when it has. */
	private reports: Promise<unknown> | undefined
	/** What the listeners were told. */
	private end: { readonly reason: number; readonly crashReason: string | undefined } | undefined
	private death: Promise<void> | undefined
	private timeOffset_ns = 0

	/** Made by Hypervisor.createDomain(); the domain's tables are set up, its pause count is 1. */
	constructor(domain: Domain, ports: BackendPorts, host: DomainControlHost) {
		this.domain = domain
		this.ports = ports
		this.host = host
		this.prepared = host.threads.prepare(domain.domid, 0)
	}

	get domid(): number {
		return this.domain.domid
	}

	/** Starts the vCPU's thread in the state of the builder, or of a saved domain. It waits there until the domain is unpaused. Once only. */
	start(context: InitialContext | SavedContext, { translationCache = true } = {}): void {
		if (this.threads.length > 0) throw new InternalError(`domain ${this.domid} has been started before`)
		let ended = () => {}
		this.endings.push(
			new Promise((resolve) => {
				ended = resolve
			}),
		)
		const { domain, timeOffset_ns } = this
		const request = { domain: domain.description, memory: domain.machine.memory, vcpu: 0, context, timeOffset_ns, translationCache }
		const thread = this.prepared.start(request, {
			log: (level, message) => this.host.log(level, message),
			emergencyConsole: (bytes) => this.host.log('debug', `(d${this.domid}) ${new TextDecoder('latin1').decode(bytes).replace(/\n$/, '')}`),
			report: (lines) => this.report(lines),
			shutdown: (reason, crashReason) => this.reportShutdown(reason, crashReason),
			ended: (error) => {
				if (error) this.threadFailed(error)
				ended()
			},
		})
		this.threads.push(thread)
	}

	/** Stops the domain's vCPUs; nested. Resolves when they have stopped. */
	async pause(): Promise<void> {
		Atomics.add(this.words, this.control(CB_PAUSE_COUNT), 1)
		wakeAllVcpus(this.domain)
		await this.parked()
	}

	/** Undoes one pause(). Returns false when the domain is not paused. */
	unpause(): boolean {
		const word = this.control(CB_PAUSE_COUNT)
		if (Atomics.load(this.words, word) === 0) return false
		Atomics.sub(this.words, word, 1)
		wakeAllVcpus(this.domain)
		return true
	}

	/** Shuts the domain down from outside with SHUTDOWN_* `reason`, as XEN_DOMCTL does for a dead one. */
	shutdown(reason: number): void {
		if (shutdownDomain(this.domain, reason)) this.reportShutdown(reason)
	}

	/**
	 * XEN_DOMCTL_resumedomain: a domain that has shut down to be suspended runs on as if that had been cancelled: its hypercall returns 1. False, and nothing
	 * happens, when it is not suspended.
	 */
	async resume(): Promise<boolean> {
		if (this.shutdownReason !== SHUTDOWN_suspend) return false
		await this.pause()
		const registers = this.domain.machine.vcpuState(0) >>> 2
		this.words[registers + RAX * 2] = SUSPEND_CANCEL
		this.words[registers + RAX * 2 + 1] = 0
		this.end = undefined
		Atomics.store(this.words, this.control(CB_SHUTDOWN_CODE), 0)
		Atomics.store(this.words, this.control(CB_SHUTDOWN), 0)
		this.unpause()
		return true
	}

	/** Resolves when the first vCPU has taken its context: with undefined, or with why the context was refused. */
	async started(): Promise<string | undefined> {
		const word = vcpuWord(this.domain, 0, VS_ONLINE)
		const refused = new Promise<string>((resolve) => {
			this.onShutdown((_, crashReason) => resolve(crashReason ?? 'it was shut down'))
		})
		while (Atomics.load(this.words, word) === 0) {
			const wait = Atomics.waitAsync(this.words, word, 0)
			const why = await Promise.race([wait.async ? wait.value.then(() => undefined) : undefined, refused])
			if (why !== undefined) return why
		}
		return undefined
	}

	/** System time of the domain, in ns. */
	get systemTime_ns(): number {
		return this.host.clock.monotonic_ns() + this.timeOffset_ns
	}

	/** Sets the system time of a domain that has not been started: of a restored one, it goes on where it was saved. */
	setSystemTime(time_ns: number): void {
		if (this.threads.length > 0) throw new InternalError(`domain ${this.domid} has been started before`)
		this.timeOffset_ns = time_ns - this.host.clock.monotonic_ns()
		writeWallclock(this.domain, shiftedClock(this.host.clock, this.timeOffset_ns))
		for (let vcpu = 0; vcpu < this.domain.description.vcpus; vcpu++) initialiseRunstate(this.domain, vcpu, time_ns)
	}

	/** Called whenever the guest has shut itself down or crashed; at once when it already has. Returns a function that unsubscribes. */
	onShutdown(listener: ShutdownListener): () => void {
		this.listeners.add(listener)
		const { end } = this
		if (end) queueMicrotask(() => this.listeners.has(listener) && listener(end.reason, end.crashReason))
		return () => this.listeners.delete(listener)
	}

	/**
	 * What the first vCPU says of itself: DEBUG_* bits (debug_report.ts), one request after the other. Nothing when it has no thread; a line that says so when
	 * it does not answer.
	 */
	debugReport(request: number): Promise<readonly string[]> {
		const answered = this.reports === undefined ? this.askForReport(request) : this.reports.then(() => this.askForReport(request))
		this.reports = answered
		return answered.finally(() => {
			if (this.reports === answered) this.reports = undefined
		})
	}

	private async askForReport(request: number): Promise<readonly string[]> {
		if (this.threads.length === 0) return []
		const silence = sleep(SILENCE_ms)
		const answer = new Promise<readonly string[]>((resolve) => {
			this.report = resolve
		})
		Atomics.or(this.words, vcpuWord(this.domain, 0, VS_DEBUG), request)
		wakeVcpu(this.domain, 0)
		const silent = silence.promise.then(() => [`d${this.domid}v0 does not answer`])
		const lines = await Promise.race([answer, silent, ...this.endings.map((ending) => ending.then(() => []))])
		silence.cancel()
		return lines
	}

	/** All of the vCPU's state; undefined when it does not answer in time or has no thread any more. */
	async vcpuState(): Promise<{ readonly basic: Uint8Array; readonly extended: Uint8Array } | undefined> {
		const [basic, extended] = (await this.debugReport(DEBUG_CONTEXT)).map(fromHex)
		if (basic?.length !== vcpu_guest_context.size || extended?.length !== ext_vcpucontext.size) return undefined
		return { basic, extended }
	}

	/** XEN_DOMCTL_max_mem, in frames: never more than its machine has. */
	setFrameLimit(frames: number): void {
		Atomics.store(this.words, this.control(CB_FRAME_LIMIT), Math.min(frames, this.domain.layout.ramFrames))
	}

	/** The vCPU's guest takes an NMI when it next can. */
	sendNmi(vcpu: number): void {
		Atomics.store(this.words, vcpuWord(this.domain, vcpu, VS_NMI_PENDING), 1)
		wakeVcpu(this.domain, vcpu)
	}

	/** SHUTDOWN_*, or undefined while the domain runs. */
	get shutdownReason(): number | undefined {
		return shutdownReason(this.domain)
	}

	/** Ends the domain: its vCPUs stop, its ports close, its memory is given up. Idempotent; never rejects. */
	destroy(): Promise<void> {
		this.death ??= this.die()
		return this.death
	}

	info(): DomainInfo {
		const now = this.systemTime_ns
		const { vcpus } = this.domain.description
		const states = Array.from({ length: vcpus }, (_, vcpu) => this.vcpuInfo(vcpu, now))
		const reason = this.shutdownReason
		const paused = this.load(CB_PAUSE_COUNT) !== 0
		const active = !paused && reason === undefined && this.death === undefined
		return {
			running: active && states.some((vcpu) => vcpu.running),
			blocked: active && states.every((vcpu) => vcpu.blocked),
			paused,
			shutdown: reason !== undefined,
			crashed: reason === SHUTDOWN_crash,
			dying: this.death !== undefined,
			cpuTime_ns: states.reduce((sum, vcpu) => sum + vcpu.cpuTime_ns, 0),
			vcpus,
			onlineVcpus: states.filter((vcpu) => vcpu.online).length,
			vcpuStates: states,
			currentFrames: this.load(CB_CURRENT_FRAMES),
			maxFrames: this.load(CB_FRAME_LIMIT),
		}
	}

	private vcpuInfo(vcpu: number, now_ns: number): VcpuInfo {
		const { state, times_ns } = readRunstate(this.domain, vcpu, now_ns)
		return {
			online: Atomics.load(this.words, vcpuWord(this.domain, vcpu, VS_ONLINE)) !== 0,
			running: state === RUNSTATE_running,
			blocked: state === RUNSTATE_blocked,
			cpuTime_ns: times_ns[RUNSTATE_running] as number,
		}
	}

	// ---- event channels -----------------------------------------------------------------------------------------------------

	/** A port of the guest's that `remoteDomid` (0: dom0's backends) may bind; for start_info. Negative errno when there is none. */
	allocUnboundPort(remoteDomid: number): number {
		return allocUnbound(this.domain, remoteDomid)
	}

	/** Binds dom0's end to the guest's unbound port; undefined when that doesn't wait for dom0. See BackendPorts.bind(). */
	bindPort(remotePort: number, onEvent: () => void): BackendPort | undefined {
		return this.ports.bind(remotePort, onEvent)
	}

	/** Raises a VIRQ on a vCPU, by its own thread. */
	sendVirq(vcpu: number, virq: number): void {
		Atomics.or(this.words, vcpuWord(this.domain, vcpu, VS_VIRQ_REQUESTS), 1 << virq)
		wakeVcpu(this.domain, vcpu)
	}

	// ---- the rest -----------------------------------------------------------------------------------------------------------

	private async die(): Promise<void> {
		if (this.threads.length === 0) this.prepared.discard()
		Atomics.store(this.words, this.control(CB_DYING), 1)
		wakeAllVcpus(this.domain)
		const timer = sleep(DEATH_ms)
		const inTime = await Promise.race([Promise.all(this.endings).then(() => true), timer.promise.then(() => false)])
		timer.cancel()
		if (!inTime) {
			this.host.log('error', `d${this.domid}: its vCPU has not stopped within ${DEATH_ms} ms: terminated`)
			await Promise.all(this.threads.map((thread) => thread.terminate()))
		}
		this.host.released(this.domain)
	}

	private threadFailed(error: Error): void {
		this.host.log('error', `d${this.domid}v0 host exception: ${error.stack ?? error.message}`)
		if (shutdownDomain(this.domain, SHUTDOWN_crash)) this.reportShutdown(SHUTDOWN_crash, `host exception: ${error.message}`)
	}

	private reportShutdown(reason: number, crashReason?: string): void {
		if (this.end) return
		this.end = { reason, crashReason }
		for (const listener of [...this.listeners]) listener(reason, crashReason)
	}

	/** Resolves when every started vCPU is parked or its thread has ended. */
	private async parked(): Promise<void> {
		if (this.threads.length === 0) return
		const word = vcpuWord(this.domain, 0, VS_PARKED)
		const ended = Promise.all(this.endings).then(() => true)
		while (Atomics.load(this.words, word) === 0 && this.load(CB_PAUSE_COUNT) !== 0 && this.death === undefined) {
			const wait = Atomics.waitAsync(this.words, word, 0)
			if (wait.async && (await Promise.race([wait.value.then(() => false), ended]))) return
		}
	}

	private get words(): Int32Array {
		return this.domain.machine.i32
	}
	private control(offset: number): number {
		return controlWord(this.domain, offset)
	}
	private load(offset: number): number {
		return Atomics.load(this.words, this.control(offset))
	}
}

/** Empty for what is no hexadecimal digits. */
function fromHex(digits: string): Uint8Array {
	return /^([0-9a-f]{2})*$/.test(digits)
		? Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
		: new Uint8Array(0)
}

function sleep(ms: number): { promise: Promise<void>; cancel: () => void } {
	let cancel = () => {}
	const promise = new Promise<void>((resolve) => {
		const timer = setTimeout(resolve, ms)
		cancel = () => clearTimeout(timer)
	})
	return { promise, cancel }
}
