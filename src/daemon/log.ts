import { appendFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LOG_LEVELS, type Log, type LogLevel } from '../toolstack/log_level.ts'

export interface LogOptions {
	/** Where each domain's own log is, NAME.log; undefined for no such logs. */
	readonly domains?: string
	/** Messages below it are dropped. */
	readonly level?: LogLevel
	readonly limit_bytes?: number
	/** Older files that are kept: `.1` to `.5` by default. */
	readonly kept?: number
}

const LIMIT_BYTES = 1024 * 1024
const KEPT = 5

/** Log files, one line an event: `[time pid] LEVEL: message`. A file that has reached the limit goes to `.1`, that one to `.2`, and so on. */
export function openLog(path: string, options: LogOptions = {}): Log {
	const { domains, level: lowest = 'debug', limit_bytes = LIMIT_BYTES, kept = KEPT } = options
	return (level, message, domain) => {
		if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(lowest)) return
		const time = new Date().toISOString().replace('T', ' ').replace('Z', '')
		const line = `[${time} ${process.pid}] ${level.toUpperCase()}: ${redact(message).replaceAll('\n', '\\n')}\n`
		append(path, line, limit_bytes, kept)
		if (domain === undefined || domains === undefined) return
		mkdirSync(domains, { recursive: true, mode: 0o700 })
		append(join(domains, `${domain}.log`), line, limit_bytes, 1)
	}
}

function append(path: string, line: string, limit_bytes: number, kept: number): void {
	if (size(path) + line.length > limit_bytes) rotate(path, kept)
	appendFileSync(path, line, { mode: 0o600 })
}

function rotate(path: string, kept: number): void {
	rmSync(`${path}.${kept}`, { force: true })
	for (let n = kept - 1; n >= 0; n--) {
		const from = n === 0 ? path : `${path}.${n}`
		if (size(from) > 0) renameSync(from, `${path}.${n + 1}`)
	}
}

function size(path: string): number {
	return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** What a configuration calls a password is nobody's to read in a log. */
export function redact(message: string): string {
	return message.replace(/(\w*passw(?:or)?d["']?\s*[=:,]?\s*)('[^']*'|"[^"]*"|[^\s,;)\]}]+)/gi, '$1***')
}
