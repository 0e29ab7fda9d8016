import type { Clock } from '../base/clock.ts'
import { CPU_ATTENTION, CPU_KERNEL_MODE } from '../x86/core/layout.ts'
import type { Cpu } from '../x86/cpu.ts'
import type { RegionCompiler } from '../x86/translator/compiler.ts'
import type { RegionTrace } from '../x86/translator/region_trace.ts'
import { ConsoleState } from './console_io.ts'
import type { Domain } from './domain.ts'
import type { HypercallArgs } from './hypercall_args.ts'
import { MmState } from './mm/mm_state.ts'
import { RateLimit } from './rate_limit.ts'
import { initialiseRingSwitch, setSwitchVcpuInfo } from './ring_switch.ts'
import { TimerState } from './timer_state.ts'
import { TrapState } from './trap_state.ts'
import { VS_NMI_PENDING, VS_VCPU_INFO, vcpuWord } from './vcpu_shared.ts'

export type LogLevel = 'error' | 'warning' | 'info' | 'debug'

/** What a vCPU's thread can tell the control half, and what it can have done. */
export interface VcpuHost {
	/** To the hypervisor's log; `level` as in Xen's loglvl. The message is without the domain's prefix. */
	log(level: LogLevel, message: string): void
	/** Bytes the guest wrote to the emergency console (CONSOLEIO_write, port 0xe9). */
	emergencyConsole(bytes: Uint8Array): void
	/** 32 random bits, fit for keys: what the guest's RDRAND reads. */
	random32(): number
	/** Answers a debug request (debug_report.ts): lines for the hypervisor's log. */
	report(lines: readonly string[]): void
	/** The domain's shutdown state has been set (CB_SHUTDOWN). `crashReason` when it is a crash. */
	shutdown(reason: number, crashReason?: string): void
	/** Makes regions of hot code; without one the vCPU's thread does. */
	readonly compiler?: RegionCompiler | undefined
	/** Hears what becomes of regions. */
	readonly trace?: RegionTrace | undefined
}

/** Thrown by VcpuContext.crash() and caught by the vCPU's loop only: unwinds whatever was being served. */
export class DomainCrashed extends Error {
	constructor(reason: string) {
		super(reason)
		this.name = 'DomainCrashed'
	}
}

/**
 * What a vCPU's thread holds: its processor, its domain, and the private state of the subsystems that work on its behalf.
 * Each `*State` class belongs to its subsystem's file; it is constructed with this context and keeps no other globals.
 */
export class VcpuContext {
	readonly domain: Domain
	readonly index: number
	readonly cpu: Cpu
	readonly clock: Clock
	readonly host: VcpuHost
	private info: number
	/** The arguments of the hypercall that is being served. */
	readonly hypercallArgs: HypercallArgs = new Uint32Array(12)
	/** SCHEDOP_block or SCHEDOP_poll: the loop puts the vCPU to sleep after this hypercall. */
	blocked = false
	/** Ports that SCHEDOP_poll waits for. */
	pollPorts: readonly number[] = []
	/** SCHEDOP_yield: the loop gives way once. */
	yielded = false
	private readonly logLimit: RateLimit
	readonly traps: TrapState
	readonly timers: TimerState
	readonly mm: MmState
	readonly console = new ConsoleState()

	constructor(domain: Domain, index: number, cpu: Cpu, clock: Clock, host: VcpuHost) {
		this.domain = domain
		this.index = index
		this.cpu = cpu
		this.clock = clock
		this.host = host
		this.logLimit = new RateLimit(clock)
		this.info = Atomics.load(domain.machine.u32, vcpuWord(domain, index, VS_VCPU_INFO))
		initialiseRingSwitch(domain, cpu)
		setSwitchVcpuInfo(cpu, this.info)
		this.traps = new TrapState(cpu)
		this.timers = new TimerState(this)
		this.mm = new MmState(this)
	}

	/** Host address of the guest's struct vcpu_info (the same as VS_VCPU_INFO). */
	get vcpuInfo(): number {
		return this.info
	}
	set vcpuInfo(address: number) {
		this.info = address
		setSwitchVcpuInfo(this.cpu, address)
	}

	/** To the hypervisor's log, prefixed as Xen's gprintk() does (d1v0), at a bounded rate: a guest can provoke most messages. */
	log(level: LogLevel, message: string): void {
		const held = this.logLimit.take()
		if (held === undefined) return
		if (held > 0) this.host.log('warning', `d${this.domain.domid}v${this.index} ${held} messages suppressed`)
		this.host.log(level, `d${this.domain.domid}v${this.index} ${message}`)
	}

	/** The guest is beyond help: stops the whole domain with SHUTDOWN_crash and this reason. Never returns. */
	crash(reason: string): never {
		throw new DomainCrashed(reason)
	}

	/** Whether the guest's kernel (not its user space) is running. */
	get kernelMode(): boolean {
		return this.cpu.field(CPU_KERNEL_MODE) !== 0
	}

	/** Takes the pending NMI, if there is one and none is being handled. */
	takeNmi(): boolean {
		const word = vcpuWord(this.domain, this.index, VS_NMI_PENDING)
		const words = this.domain.machine.u32
		return Atomics.load(words, word) !== 0 && !this.traps.nmiMasked && Atomics.exchange(words, word, 0) !== 0
	}

	/** Whether a long hypercall should stop and return HYPERCALL_PREEMPTED: other threads want this vCPU, or a timer is due. */
	preemptPending(): boolean {
		if (Atomics.load(this.domain.machine.i32, (this.cpu.state + CPU_ATTENTION) >>> 2) !== 0) return true
		return this.clock.monotonic_ns() >= this.timers.nextDeadline_ns
	}
}
