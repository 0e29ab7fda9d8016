import type { VcpuContext } from './vcpu.ts'

export class TrapState {
	readonly vcpu: VcpuContext

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
	}
}
