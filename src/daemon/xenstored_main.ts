/** xenstored's program. Started by hypervisor_link.ts, detached, with its output in its log. */
import { startOverIfCold } from './start_over.ts'
import { runXenstored } from './xenstored_process.ts'

await startOverIfCold()
await runXenstored()
