import { importBuilder } from '../platform/node/load_core.ts'

/** Imports what the hypervisor's process and its threads import later than at its start: whoever strips types does it all at once (start_over.ts). */
export function importLater(): Promise<unknown> {
	return Promise.all([import('../platform/node/vcpu_worker.ts'), import('../platform/node/compile_worker.ts'), importBuilder()])
}
