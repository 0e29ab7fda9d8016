/** The hypervisor's program. Started by hypervisor_link.ts, detached, with its output in its log. */
import { runHypervisor } from './hypervisor_process.ts'

await runHypervisor()
