/** The daemon's program. Started by sdk/connect.ts, detached, with its output in the log file. */
import { hypervisorOpener } from './hypervisor_link.ts'
import { runDaemon } from './run.ts'

await runDaemon(hypervisorOpener)
