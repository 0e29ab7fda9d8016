import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Writes this process's number. Who reads meanwhile gets the number before it, never an empty file. */
export function writePidFile(path: string): void {
	const next = `${path}.${process.pid}`
	writeFileSync(next, `${process.pid}\n`, { mode: 0o600 })
	renameSync(next, path)
}

/** The number in the file; undefined when there is none. */
export function readPidFile(path: string): number | undefined {
	try {
		return Number(readFileSync(path, 'utf8'))
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
		throw error
	}
}
