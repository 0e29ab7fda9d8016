import type { VcpuContext } from './vcpu.ts'

export class EventState {
	readonly vcpu: VcpuContext

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
	}
}
