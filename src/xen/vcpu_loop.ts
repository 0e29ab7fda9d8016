/**
 * The life of a vCPU in its thread: look for work, deliver it, run guest code, serve the exit, again.
 *
 * Wakes are not lost (see wake.ts): each turn first clears CPU_ATTENTION and reads the doorbell, then looks for work (pause,
 * death, timers, VIRQ requests, NMI, events), and only then runs or sleeps. A guest that never leaves its own code still comes
 * back when the budget is spent or CPU_ATTENTION is set, so it can be paused and destroyed at any time.
 */

import { SHUTDOWN_crash } from '../abi/sched.ts'
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running } from '../abi/vcpu.ts'
import { InternalError } from '../base/errors.ts'
import {
	CPU_ATTENTION,
	CPU_EXC_VECTOR,
	CPU_ICOUNT,
	EXIT_BUDGET,
	EXIT_CPUID,
	EXIT_EXCEPTION,
	EXIT_PRIVILEGED,
	EXIT_SOFTINT,
	EXIT_SYSCALL,
} from '../x86/core/layout.ts'
import { BUDGET, Translator } from '../x86/translator/translator.ts'
import { answerDebugRequest } from './debug_report.ts'
import { handleCpuid, handleInvalidOpcode, handlePrivileged } from './emulate_privileged.ts'
import { raiseVirq } from './event_channel.ts'
import { handleException, handleSoftwareInterrupt, handleSyscall } from './exceptions.ts'
import { takeFrameWrites } from './frame_writes.ts'
import { deliverPending, eventsDeliverable, TRAP_invalid_op } from './inject.ts'
import { dumpRegisters } from './registers_dump.ts'
import { setRunstate } from './runstate.ts'
import { anyPortPending } from './sched.ts'
import { shutdownSelf } from './shutdown.ts'
import { DomainCrashed, type VcpuContext } from './vcpu.ts'
import {
	CB_DYING,
	CB_PAUSE_COUNT,
	CB_SHUTDOWN,
	controlWord,
	VS_DOORBELL,
	VS_NMI_PENDING,
	VS_PARKED,
	VS_POLLING,
	VS_RUNSTATE,
	VS_VIRQ_REQUESTS,
	vcpuWord,
} from './vcpu_shared.ts'

/** Exits served between looks for work. */
const EXITS_MAX = 64
/** Atomics.wait() oversleeps by about this much, so the last stretch before a deadline is spun. */
const OVERSLEEP_ns = 120_000
/** How long a yielding vCPU lets others run. */
const YIELD_ms = 0.05

/** Runs until the domain is destroyed. Throws only for our own bugs. */
export function runVcpu(vcpu: VcpuContext): void {
	const loop = new VcpuLoop(vcpu)
	while (!loop.dying) {
		try {
			loop.turn()
		} catch (error) {
			if (!(error instanceof DomainCrashed)) throw error
			crashDomain(vcpu, error.message)
		}
	}
	loop.end()
}

/** Logs why and where, and stops the domain. */
export function crashDomain(vcpu: VcpuContext, reason: string): void {
	vcpu.log('error', reason)
	vcpu.host.log('error', `Domain ${vcpu.domain.domid} (vcpu#${vcpu.index}) crashed on cpu#${vcpu.index}:`)
	for (const line of dumpRegisters(vcpu)) vcpu.host.log('error', line)
	shutdownSelf(vcpu, SHUTDOWN_crash, reason)
}

class VcpuLoop {
	private readonly vcpu: VcpuContext
	private readonly words: Int32Array
	private readonly attention: number
	private readonly doorbell: number
	private readonly pauseCount: number
	private readonly dyingWord: number
	private readonly shutdownWord: number
	private readonly virqRequests: number
	private readonly translator: Translator | undefined
	/** Instructions until the next look for work, which is the next sample too; the translator says how many. */
	private budget = BUDGET

	constructor(vcpu: VcpuContext) {
		const { domain, index } = vcpu
		this.vcpu = vcpu
		this.words = domain.machine.i32
		this.attention = (vcpu.cpu.state + CPU_ATTENTION) >>> 2
		this.doorbell = vcpuWord(domain, index, VS_DOORBELL)
		this.pauseCount = controlWord(domain, CB_PAUSE_COUNT)
		this.dyingWord = controlWord(domain, CB_DYING)
		this.shutdownWord = controlWord(domain, CB_SHUTDOWN)
		this.translator = vcpu.cpu.regions && new Translator(vcpu.cpu, { compiler: vcpu.host.compiler, trace: vcpu.host.trace })
		this.virqRequests = vcpuWord(domain, index, VS_VIRQ_REQUESTS)
	}

	get dying(): boolean {
		return Atomics.load(this.words, this.dyingWord) !== 0
	}

	/** One turn: sleeps, or runs guest code until its next exit. */
	turn(): void {
		const { vcpu, words } = this
		Atomics.store(words, this.attention, 0)
		const seen = Atomics.load(words, this.doorbell)
		answerDebugRequest(vcpu, this.translator)
		if (Atomics.load(words, this.pauseCount) !== 0 || Atomics.load(words, this.shutdownWord) !== 0) return this.park(seen)
		const timedOut = this.fireTimers()
		this.raiseRequestedVirqs()
		takeFrameWrites(vcpu.domain, vcpu.index, (mfn) => vcpu.cpu.invalidateFrame(mfn))
		if (vcpu.blocked) {
			if (!timedOut && !this.hasWork()) return this.sleep(seen)
			this.unblock()
		}
		if (vcpu.yielded) this.yield(seen)
		this.enter(RUNSTATE_running)
		this.run()
	}

	/**
	 * Runs guest code and serves its exits until there may be work to look for: whoever has some has set CPU_ATTENTION, timers wait for the end of a budget or of
	 * EXITS_MAX exits. A budget spans exits, so that code that leaves all the time is sampled as often as any other.
	 */
	private run(): void {
		const { vcpu, words } = this
		const { cpu } = vcpu
		for (let exits = 0; exits < EXITS_MAX; exits++) {
			deliverPending(vcpu)
			const before = cpu.field(CPU_ICOUNT)
			const exit = cpu.run(this.budget)
			const spent = (cpu.field(CPU_ICOUNT) - before) >>> 0
			if (exit !== EXIT_BUDGET) this.budget = Math.max(1, this.budget - spent)
			this.serve(exit)
			if (exit === EXIT_BUDGET || vcpu.blocked || vcpu.yielded || Atomics.load(words, this.attention) !== 0) return
		}
	}

	/** The thread ends: nothing of the vCPU is touched any more. */
	end(): void {
		this.enter(RUNSTATE_offline)
		Atomics.store(this.words, vcpuWord(this.vcpu.domain, this.vcpu.index, VS_PARKED), 1)
		Atomics.notify(this.words, vcpuWord(this.vcpu.domain, this.vcpu.index, VS_PARKED))
	}

	private serve(exit: number): void {
		const { vcpu } = this
		switch (exit) {
			case EXIT_BUDGET:
				this.budget = this.translator?.sample() ?? BUDGET
				return
			case EXIT_SYSCALL:
				return handleSyscall(vcpu)
			case EXIT_EXCEPTION:
				return vcpu.cpu.field(CPU_EXC_VECTOR) === TRAP_invalid_op ? handleInvalidOpcode(vcpu) : handleException(vcpu)
			case EXIT_PRIVILEGED:
				return handlePrivileged(vcpu)
			case EXIT_CPUID:
				return handleCpuid(vcpu)
			case EXIT_SOFTINT:
				return handleSoftwareInterrupt(vcpu)
			default:
				throw new InternalError(`the processor returned with exit ${exit}`)
		}
	}

	/** Whether a poll has timed out. */
	private fireTimers(): boolean {
		const { clock, timers } = this.vcpu
		const now = clock.monotonic_ns()
		return now >= timers.nextDeadline_ns && timers.fire(now)
	}

	private raiseRequestedVirqs(): void {
		if (Atomics.load(this.words, this.virqRequests) === 0) return
		let requests = Atomics.exchange(this.words, this.virqRequests, 0)
		for (; requests !== 0; requests &= requests - 1) {
			raiseVirq(this.vcpu.domain, this.vcpu.index, 31 - Math.clz32(requests & -requests))
		}
	}

	/** Whether a blocked vCPU must go on. */
	private hasWork(): boolean {
		const { vcpu, words } = this
		if (eventsDeliverable(vcpu)) return true
		if (Atomics.load(words, vcpuWord(vcpu.domain, vcpu.index, VS_NMI_PENDING)) !== 0 && !vcpu.traps.nmiMasked) return true
		return vcpu.pollPorts.length > 0 && anyPortPending(vcpu)
	}

	private unblock(): void {
		const { vcpu } = this
		vcpu.blocked = false
		vcpu.pollPorts = []
		vcpu.timers.setPollDeadline(Number.POSITIVE_INFINITY)
		Atomics.store(this.words, vcpuWord(vcpu.domain, vcpu.index, VS_POLLING), 0)
	}

	/** Blocked: sleeps until the doorbell has rung since `seen`, or the next timer is due. */
	private sleep(seen: number): void {
		const { clock, timers } = this.vcpu
		this.enter(RUNSTATE_blocked)
		const left = timers.nextDeadline_ns - clock.monotonic_ns()
		if (left > OVERSLEEP_ns) {
			Atomics.wait(this.words, this.doorbell, seen, (left - OVERSLEEP_ns) / 1e6)
			return
		}
		while (clock.monotonic_ns() < timers.nextDeadline_ns && Atomics.load(this.words, this.doorbell) === seen);
	}

	/** Paused or shut down: sleeps until told otherwise. Other threads may read the vCPU's state meanwhile. */
	private park(seen: number): void {
		const parked = vcpuWord(this.vcpu.domain, this.vcpu.index, VS_PARKED)
		this.enter(this.vcpu.blocked ? RUNSTATE_blocked : RUNSTATE_offline)
		Atomics.store(this.words, parked, 1)
		Atomics.notify(this.words, parked)
		Atomics.wait(this.words, this.doorbell, seen)
		Atomics.store(this.words, parked, 0)
	}

	private yield(seen: number): void {
		this.vcpu.yielded = false
		if (!eventsDeliverable(this.vcpu)) Atomics.wait(this.words, this.doorbell, seen, YIELD_ms)
	}

	private enter(state: number): void {
		const { vcpu } = this
		if (Atomics.load(this.words, vcpuWord(vcpu.domain, vcpu.index, VS_RUNSTATE)) !== state) setRunstate(vcpu, state)
	}
}
