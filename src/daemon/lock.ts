import { DatabaseSync } from 'node:sqlite'

/**
 * Takes the lock file for the life of this process; undefined when another process has it.
 *
 * Node offers no flock, and a file with a process number in it can't be taken over from a dead owner without a race. SQLite's exclusive
 * lock is a kernel lock: it goes when its process goes, however that happens.
 */
export function takeLock(path: string): Disposable | undefined {
	const database = new DatabaseSync(path)
	try {
		database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
	} catch (error) {
		database.close()
		if (/locked|busy/i.test(String(error))) return undefined
		throw error
	}
	return { [Symbol.dispose]: () => database.close() }
}
