/**
 * xenstored's records in a file, for the case that its process is killed: nothing is flushed to the disk, for domains don't outlive the
 * host either. A line is a CRC-32 of what follows (8 hexadecimal digits), a space, and JSON; the first names the format and the boot of
 * the hypervisor whose domains it is about. A last line that is cut off was never acknowledged and does not count. Once as much was
 * appended as a snapshot takes, and a megabyte, the file is replaced by a snapshot: its size follows the store, not its history.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { UserError } from '../../base/errors.ts'
import type { StoreJournal, StoreRecord } from '../../xenstore/journal.ts'

const FORMAT = 'xenstored journal 1'
const SLACK_BYTES = 1024 * 1024
const CHUNK_BYTES = 256 * 1024

interface Header {
	readonly format: string
	readonly bootId: string
}

/**
 * The records in the file; none when it is not there or about another boot. UserError when a line other than a cut-off last one is
 * damaged.
 */
export function readJournal(path: string, bootId: string): StoreRecord[] {
	const lines = linesOf(path)
	if (lines.length === 0) return []
	const [header, ...records] = lines as [Header, ...StoreRecord[]]
	if (header.format !== FORMAT) throw damaged(path, 1, `it is no '${FORMAT}'`)
	return header.bootId === bootId ? records : []
}

export interface FileJournalOptions {
	readonly path: string
	readonly bootId: string
	/** Records that stand for all that were appended. */
	readonly snapshot: () => Iterable<StoreRecord>
	/** The file cannot be written. It is removed, and nothing is kept any more. */
	readonly onFailure: (error: Error) => void
}

export class FileJournal implements StoreJournal {
	readonly #options: FileJournalOptions
	#file: number | undefined
	#snapshot_bytes = 0
	#appended_bytes = 0
	#compacting = false

	/** Begins with a snapshot. */
	constructor(options: FileJournalOptions) {
		this.#options = options
		this.#guarded(() => this.#compact())
	}

	append(record: StoreRecord): void {
		if (this.#file === undefined) return
		const file = this.#file
		this.#guarded(() => {
			this.#appended_bytes += write(file, lineOf(record))
		})
		if (this.#appended_bytes < this.#snapshot_bytes + SLACK_BYTES || this.#compacting) return
		this.#compacting = true
		// A snapshot in the middle of an operation would be of a store in the middle of an operation.
		setImmediate(() => {
			this.#compacting = false
			if (this.#file !== undefined) this.#guarded(() => this.#compact())
		})
	}

	close(): void {
		if (this.#file !== undefined) closeSync(this.#file)
		this.#file = undefined
	}

	#compact(): void {
		const { path, bootId, snapshot } = this.#options
		const next = openSync(`${path}.new`, 'w', 0o600)
		let size = 0
		let chunk = lineOf({ format: FORMAT, bootId })
		for (const record of snapshot()) {
			chunk += lineOf(record)
			if (chunk.length < CHUNK_BYTES) continue
			size += write(next, chunk)
			chunk = ''
		}
		size += write(next, chunk)
		renameSync(`${path}.new`, path)
		this.close()
		this.#file = next
		this.#snapshot_bytes = size
		this.#appended_bytes = 0
	}

	/** A journal with a gap must not be found by the next server. */
	#guarded(step: () => void): void {
		try {
			step()
		} catch (error) {
			this.close()
			rmSync(this.#options.path, { force: true })
			rmSync(`${this.#options.path}.new`, { force: true })
			this.#options.onFailure(error as Error)
		}
	}
}

function write(file: number, text: string): number {
	const bytes = Buffer.from(text)
	for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
	return bytes.length
}

function lineOf(value: StoreRecord | Header): string {
	const text = JSON.stringify(value)
	return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`
}

function linesOf(path: string): unknown[] {
	let text: string
	try {
		text = readFileSync(path, 'utf8')
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
		throw new UserError(`cannot read ${path}`, { code: 'xenstore-journal', cause: error })
	}
	const lines = text.split('\n')
	lines.pop()
	return lines.map((line, index) => {
		const content = line.slice(9)
		if (crc32(content) !== Number.parseInt(line.slice(0, 8), 16)) throw damaged(path, index + 1, 'its checksum is wrong')
		return JSON.parse(content) as unknown
	})
}

function damaged(path: string, line: number, why: string): UserError {
	return new UserError(`XenStore's journal ${path} is damaged in line ${line}: ${why}`, { code: 'xenstore-journal' })
}
