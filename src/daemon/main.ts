/** The daemon's program. Started by sdk/connect.ts, detached, with its output in the log file. */
import { openHypervisor } from './open_hypervisor.ts'
import { runDaemon } from './run.ts'

await runDaemon(openHypervisor)
