/** The hypervisor's program. Started by hypervisor_link.ts, detached, with its output in its log. */
import { runHypervisor } from './hypervisor_process.ts'
import { importLater } from './hypervisor_sources.ts'
import { startOverIfCold } from './start_over.ts'

await startOverIfCold(importLater)
await runHypervisor()
