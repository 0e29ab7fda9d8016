import { UserError } from '../base/errors.ts'
import type { Log } from '../toolstack/log_level.ts'

/** A fault ends the process: one of ours with its stack in the log, one of the user's with its sentence. */
export function endOnFault(who: string, log: Log): void {
	const end = (error: unknown) => {
		const told = error instanceof UserError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)
		log('critical', `${who} ends: ${told}`)
		process.exit(1)
	}
	process.on('uncaughtException', end)
	process.on('unhandledRejection', end)
}
