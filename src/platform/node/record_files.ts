import { closeSync, fsyncSync, openSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../base/errors.ts'
import type { DomainRecord } from '../../toolstack/domain_record.ts'
import type { RecordStore } from '../../toolstack/record_store.ts'
import { systemErrorText } from './system_error.ts'

const UUID_FILE = /^[0-9a-f-]{36}\.json$/
const TEMPORARY = '.new'
const SET_ASIDE = '.unreadable'

/**
 * Records as files, `<uuid>.json`: those of managed domains in one directory, all others in another. A record is written under another
 * name, made durable, and renamed; so there is always a whole one. One process at a time may have it open.
 */
export class RecordFiles implements RecordStore {
	private readonly managed: string
	private readonly others: string

	constructor(directories: { readonly managed: string; readonly others: string }) {
		this.managed = directories.managed
		this.others = directories.others
	}

	async load(): Promise<{ records: DomainRecord[]; unreadable: string[] }> {
		const records = new Map<string, DomainRecord>()
		const unreadable: string[] = []
		// A domain may have both, when it was made a managed one and that was cut off: the managed one counts.
		for (const directory of [this.others, this.managed]) {
			for (const name of await list(directory)) {
				const path = join(directory, name)
				if (name.endsWith(TEMPORARY)) await rm(path, { force: true })
				if (!UUID_FILE.test(name)) continue
				try {
					const record = JSON.parse(await readFile(path, 'utf8')) as DomainRecord
					check(record, name)
					records.set(name, record)
				} catch (error) {
					unreadable.push(`${path}: ${error instanceof Error ? error.message : String(error)}`)
					await rename(path, path + SET_ASIDE)
				}
			}
		}
		return { records: [...records.values()], unreadable }
	}

	/** Throws UserError when it can't be written; the record before stays. */
	async save(record: DomainRecord): Promise<void> {
		const directory = record.managed ? this.managed : this.others
		const path = join(directory, `${record.values.uuid}.json`)
		try {
			await mkdir(directory, { recursive: true, mode: 0o700 })
			await write(path + TEMPORARY, `${JSON.stringify(record, undefined, '\t')}\n`)
			await rename(path + TEMPORARY, path)
			syncDirectory(directory)
		} catch (error) {
			await rm(path + TEMPORARY, { force: true }).catch(() => {})
			throw new UserError(`Cannot write the domain's record ${path}: ${systemErrorText(error)}`, { code: 'no-file', cause: error })
		}
	}

	async remove(uuid: string): Promise<void> {
		for (const directory of [this.others, this.managed]) {
			try {
				await rm(join(directory, `${uuid}.json`))
				syncDirectory(directory)
			} catch (error) {
				if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
			}
		}
	}
}

/** Durable once this resolves. */
async function write(path: string, text: string): Promise<void> {
	const file = await open(path, 'w', 0o600)
	try {
		await file.writeFile(text)
		await file.sync()
	} finally {
		await file.close()
	}
}

async function list(directory: string): Promise<string[]> {
	try {
		return await readdir(directory)
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
		throw error
	}
}

function check(record: DomainRecord, name: string): void {
	if (record.version !== 1) throw new TypeError(`it is of version ${record.version}, not 1`)
	if (`${record.values?.uuid}.json` !== name || typeof record.phase?.is !== 'string')
		throw new TypeError('it is not the record of a domain')
}

/** A new name is durable once its directory is. */
function syncDirectory(path: string): void {
	const directory = openSync(path, 'r')
	try {
		fsyncSync(directory)
	} finally {
		closeSync(directory)
	}
}
