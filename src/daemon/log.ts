import { appendFileSync, renameSync, statSync } from 'node:fs'
import type { LogLevel } from '../toolstack/lifecycle_events.ts'

const MAX_LOG_BYTES = 1024 * 1024

/** xend.log: one line an event, `[time] LEVEL: message`. The file that was there goes to `.1` when it is large. */
export function openLog(path: string): (level: LogLevel, message: string) => void {
	try {
		if (statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`)
	} catch {
		// No log yet.
	}
	return (level, message) => {
		const time = new Date().toISOString().replace('T', ' ').replace('Z', '')
		appendFileSync(path, `[${time} ${process.pid}] ${level.toUpperCase()}: ${message.replaceAll('\n', '\\n')}\n`, { mode: 0o600 })
	}
}
