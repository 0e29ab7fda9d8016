import { SHUTDOWN_watchdog } from '../abi/sched.ts'
import { VIRQ_TIMER } from '../abi/xen.ts'
import { raiseVirq } from './event_channel.ts'
import { HOLD_AREAS, holdSwitches, isHeld } from './ring_switch.ts'
import { writeRunstateArea } from './runstate.ts'
import { shutdownSelf } from './shutdown.ts'
import { copyTimeArea } from './time.ts'
import type { VcpuContext } from './vcpu.ts'

const NEVER = Number.POSITIVE_INFINITY

/** A vCPU's timers and the areas in guest memory that Xen keeps current for it. Used by the vCPU's own thread only. */
export class TimerState {
	/** System time of the next timer, Infinity when none is set. */
	nextDeadline_ns = NEVER
	/** Linear addresses in the guest's kernel, NaN when not registered. */
	runstateArea = Number.NaN
	timeArea = Number.NaN
	private readonly vcpu: VcpuContext
	private singleshot_ns = NEVER
	private periodic_ns = NEVER
	private period_ns = 0
	private poll_ns = NEVER
	/** Deadlines of the domain's watchdogs; NR_DOMAIN_WATCHDOG_TIMERS. */
	readonly watchdogs: number[] = [NEVER, NEVER]

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
	}

	/** Arms the single-shot timer for a system time; Infinity stops it. */
	setSingleshot(deadline_ns: number): void {
		this.singleshot_ns = deadline_ns
		this.reckon()
	}
	/** Starts the periodic timer; 0 stops it. */
	setPeriod(period_ns: number): void {
		this.period_ns = period_ns
		this.periodic_ns = period_ns === 0 ? NEVER : this.vcpu.clock.monotonic_ns() + period_ns
		this.reckon()
	}
	/** The end of a SCHEDOP_poll; Infinity for none. */
	setPollDeadline(deadline_ns: number): void {
		this.poll_ns = deadline_ns
		this.reckon()
	}

	/** Arms a watchdog of the domain, which shuts it down when it is due; Infinity stops it. */
	setWatchdog(n: number, deadline_ns: number): void {
		this.watchdogs[n] = deadline_ns
		this.reckon()
	}

	/** Raises VIRQ_TIMER for timers that are due. Returns whether a poll has timed out. */
	fire(now: number): boolean {
		if (now < this.nextDeadline_ns) return false
		const { domain, index } = this.vcpu
		if (now >= this.singleshot_ns) {
			this.singleshot_ns = NEVER
			raiseVirq(domain, index, VIRQ_TIMER)
		}
		if (now >= this.periodic_ns) {
			// Periods that were missed are not made up for.
			this.periodic_ns += this.period_ns * Math.max(1, Math.ceil((now - this.periodic_ns) / this.period_ns))
			raiseVirq(domain, index, VIRQ_TIMER)
		}
		if (this.watchdogs.some((deadline) => now >= deadline)) {
			this.vcpu.log('info', `watchdog timer has fired`)
			shutdownSelf(this.vcpu, SHUTDOWN_watchdog)
			this.watchdogs.fill(NEVER)
		}
		const polled = now >= this.poll_ns
		if (polled) this.poll_ns = NEVER
		this.reckon()
		return polled
	}

	/** An area could not be written because user mode was running. */
	private get areasPending(): boolean {
		return isHeld(this.vcpu.cpu, HOLD_AREAS)
	}
	private set areasPending(pending: boolean) {
		holdSwitches(this.vcpu.domain.machine, this.vcpu.index, HOLD_AREAS, pending)
	}

	/** The guest's kernel has become current: areas that had to wait can be written. */
	onKernelEntry(): void {
		if (!this.areasPending) return
		this.areasPending = false
		this.writeRunstateArea()
		this.writeTimeArea()
	}

	writeRunstateArea(): void {
		if (Number.isNaN(this.runstateArea)) return
		if (!this.vcpu.kernelMode) this.areasPending = true
		else writeRunstateArea(this.vcpu, this.runstateArea)
	}

	writeTimeArea(): void {
		if (Number.isNaN(this.timeArea)) return
		if (!this.vcpu.kernelMode) this.areasPending = true
		else copyTimeArea(this.vcpu, this.timeArea)
	}

	private reckon(): void {
		this.nextDeadline_ns = Math.min(this.singleshot_ns, this.periodic_ns, this.poll_ns, ...this.watchdogs)
	}
}
