import { openSync, writeSync } from 'node:fs'
import type { RegionTrace } from '../../x86/translator/region_trace.ts'

/** Which vCPU it is that a line tells of. */
export interface TracedVcpu {
	readonly domid: number
	readonly vcpu: number
}

/**
 * What XENOTYPE_TRACE asks for: every RegionEvent, appended to the file of that absolute path as one JSON object a line, with domain, vCPU and
 * `now_ms` since 1970. Several threads may write to one file: a line is one write. Undefined when nothing is asked for; throws when the
 * file cannot be opened.
 */
export function openRegionTrace({ domid, vcpu }: TracedVcpu, env: NodeJS.ProcessEnv = process.env): RegionTrace | undefined {
	const path = env.XENOTYPE_TRACE
	if (path === undefined || path === '') return undefined
	const file = openSync(path, 'a', 0o600)
	return (event) => {
		const now_ms = Math.round(performance.timeOrigin + performance.now())
		writeSync(file, `${JSON.stringify({ now_ms, domid, vcpu, ...event })}\n`)
	}
}
