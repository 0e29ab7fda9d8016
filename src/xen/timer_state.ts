import type { VcpuContext } from './vcpu.ts'

export class TimerState {
	readonly vcpu: VcpuContext
	/** System time of the next timer, Infinity when none is set. */
	nextDeadline_ns = Number.POSITIVE_INFINITY

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
	}
}
