/** The daemon's program. Started by sdk/connect.ts, detached, with its output in the log file. */
import { hypervisorOpener } from './hypervisor_link.ts'
import { runDaemon } from './run.ts'
import { startOverIfCold } from './start_over.ts'

await startOverIfCold()
await runDaemon(hypervisorOpener)
