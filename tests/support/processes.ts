/** The processes of a private xend, to be killed. */
import { readdirSync, readFileSync } from 'node:fs'
import { readPidFile } from '../../src/daemon/pid_file.ts'
import { isAlive } from '../../src/daemon/process_state.ts'
import type { RunDir } from '../../src/daemon/rundir.ts'
import type { XendClient } from '../../src/sdk/client.ts'
import { connect } from '../../src/sdk/connect.ts'
import { delay } from './xend.ts'

/** Kills with -9 and waits until the process is gone. One that is gone already, or not there, is no fault. */
export async function kill(pid: number | undefined): Promise<void> {
	if (pid === undefined) return
	try {
		process.kill(pid, 'SIGKILL')
	} catch {
		return
	}
	while (isAlive(pid)) await delay(5)
}

/** A client of the run directory's xend, which is started when it is not there. */
export async function reconnect({ rundir }: { readonly rundir: RunDir }): Promise<XendClient> {
	return (await connect({ rundir })).client
}

export function xenstoredPid({ xenstored }: RunDir): number | undefined {
	return readPidFile(xenstored.pid)
}

/** Every process that was started for this run directory. */
export function processesOf({ path }: RunDir): string[] {
	return readdirSync('/proc')
		.filter((name) => /^\d+$/.test(name) && isAlive(Number(name)))
		.flatMap((pid) => {
			try {
				const program = /src\/daemon\/(\w+)\.ts/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1]
				const ours = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`XENOTYPE_RUNDIR=${path}\0`)
				return program !== undefined && ours ? [`${program} ${pid}`] : []
			} catch {
				return []
			}
		})
}
