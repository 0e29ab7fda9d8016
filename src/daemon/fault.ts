import type { Log } from '../toolstack/log_level.ts'

/** A fault of ours ends the process, with its stack in the log. */
export function endOnFault(who: string, log: Log): void {
	const end = (error: unknown) => {
		log('critical', `${who} ends: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
		process.exit(1)
	}
	process.on('uncaughtException', end)
	process.on('unhandledRejection', end)
}
