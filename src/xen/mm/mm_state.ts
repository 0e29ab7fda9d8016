import type { VcpuContext } from '../vcpu.ts'

export class MmState {
	readonly vcpu: VcpuContext

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
	}
}
