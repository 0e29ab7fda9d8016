/** xenstored's program. Started by hypervisor_link.ts, detached, with its output in its log. */
import { runXenstored } from './xenstored_process.ts'

await runXenstored()
