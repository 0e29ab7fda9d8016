import { join } from 'node:path'
import type { HostInfo } from './api.ts'
import type { RunDir } from './rundir.ts'
import type { XendConfig } from './xend_config.ts'
import { XEND_CONFIG_KEYS } from './xend_config_keys.ts'

/**
 * What xend goes by, under the names of xend-config.sxp: the lines of `xm info -c`. Keys that act, each with the value that holds; what
 * the daemon does in any case; and of the others those that the file gives, with the reason why they have no effect.
 */
export function daemonSettings(rundir: Pick<RunDir, 'log' | 'socket' | 'state'>, config: XendConfig): HostInfo {
	const held: Readonly<Record<string, string>> = {
		logfile: config.logfile ?? rundir.log,
		'xend-domains-path': config.domainsPath ?? join(rundir.state, 'domains'),
		'xend-unix-server': 'yes',
		'xend-unix-path': rundir.socket,
	}
	return [...XEND_CONFIG_KEYS].flatMap(([name, { why, fallback }]) => {
		const given = config.given.get(name)
		const value = held[name] ?? given ?? fallback
		if (why === undefined) return [[name, value ?? ''] as const]
		if (given !== undefined && !['', fallback, held[name]].includes(given)) return [[name, `${given} (has no effect: ${why})`] as const]
		return given === undefined && held[name] === undefined ? [] : [[name, value ?? ''] as const]
	})
}
