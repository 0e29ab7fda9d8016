import type { VcpuContext } from './vcpu.ts'

export class GrantState {
	readonly vcpu: VcpuContext

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
	}
}
