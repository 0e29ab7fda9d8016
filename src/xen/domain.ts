import { MachineMemory } from '../x86/machine_memory.ts'
import { type DomainDescription, MachineLayout } from './machine_layout.ts'

/**
 * A domain as every thread sees it: its description, its machine, and where the hypervisor's tables are in it.
 * Holds no state of its own; what changes is in the machine's shared memory.
 */
export class Domain {
	readonly description: DomainDescription
	readonly layout: MachineLayout
	readonly machine: MachineMemory

	constructor(description: DomainDescription, memory?: WebAssembly.Memory) {
		this.description = description
		this.layout = new MachineLayout(description)
		this.machine = new MachineMemory(
			{
				ramFrames: description.maxFrames,
				hypervisorFrames: this.layout.hypervisorFrames,
				vcpus: description.vcpus,
				hypervisorBytes: this.layout.hypervisorBytes,
			},
			memory,
		)
	}

	get domid(): number {
		return this.description.domid
	}

	/** Host address of one of the layout's byte offsets. */
	at(offset: number): number {
		return this.machine.hypervisorBase + offset
	}
}
