/**
 * A line in a file of the run directory: what a start that takes long is at, for whoever waits for it. Whoever is killed while it is at that
 * leaves it behind, until the next start.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'

export function writeStartNote(path: string, doing: string): void {
	writeFileSync(path, doing, { mode: 0o600 })
}

export function removeStartNote(path: string): void {
	rmSync(path, { force: true })
}

/** Undefined when there is none. */
export function readStartNote(path: string): string | undefined {
	try {
		return readFileSync(path, 'utf8') || undefined
	} catch {
		return undefined
	}
}
