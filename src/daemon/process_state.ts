import { readFileSync } from 'node:fs'

/** Whether there is a process of this number that still runs: one that has ended and waits for its parent to notice does not. */
export function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0)
	} catch {
		return false
	}
	try {
		return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
	} catch {
		// Not Linux, or gone by now.
		return process.platform !== 'linux'
	}
}
