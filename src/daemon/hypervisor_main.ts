/** The hypervisor's program. Started by hypervisor_link.ts, detached, with its output in its log. */
import { runHypervisor } from './hypervisor_process.ts'
import { startOverIfCold } from './start_over.ts'

await startOverIfCold(() => Promise.all([import('../platform/node/vcpu_worker.ts'), import('../platform/node/compile_worker.ts')]))
await runHypervisor()
