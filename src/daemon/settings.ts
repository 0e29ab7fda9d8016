import { join } from 'node:path'
import { CONSOLE_LIMIT_BYTES } from '../xenctrl/interface.ts'
import type { HostInfo } from './api.ts'
import type { RunDir } from './rundir.ts'

/** What xend goes by, under the names of xend-config.sxp: the lines of `xm info -c`. */
export function daemonSettings(rundir: RunDir): HostInfo {
	return [
		['logfile', rundir.log],
		['loglevel', 'DEBUG'],
		['xend-http-server', 'no'],
		['xend-unix-server', 'yes'],
		['xend-unix-path', rundir.socket],
		['xend-relocation-server', 'no'],
		['console-limit', String(CONSOLE_LIMIT_BYTES / 1024)],
		['enable-dom0-ballooning', 'no'],
		['enable-dump', 'no'],
		['xend-domains-path', join(rundir.state, 'domains')],
	]
}
