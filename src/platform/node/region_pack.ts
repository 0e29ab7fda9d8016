import { createHash } from 'node:crypto'
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import type { KnownRegion } from '../../x86/translator/region_key.ts'

/** What is told of a region without reading it. */
export interface RegionLabel extends KnownRegion {
	/** Of the guest. */
	readonly instructions: number
	readonly hasMachineCode: boolean
}

/** A region in a pack. */
export interface PackedRegion extends RegionLabel {
	readonly pack: RegionPack
	/** Of its record in the file. */
	readonly position: number
	readonly length: number
	/** Of what it is and of its label, hexadecimal. */
	readonly digest: string
}

const MAGIC = 0x3152_5458
/** The record begins with these u32: MAGIC, its length in bytes, and of the label offset, head, hash, instructions, 1 for machine code, and the number of pages. */
const HEAD_BYTES = 32
const DIGEST_BYTES = 32
const MAX_PAGES = 64
/** Of a record. */
const MAX_BYTES = 64 << 20

/**
 * Regions in a file: records, one behind the other, each a head, a SHA-256 digest of all else in the record, the label's pages and what is kept. One process writes
 * a pack, and only at its end; so what is cut off there is the last record, and what comes behind a record that is none is not looked at.
 */
export class RegionPack {
	readonly path: string
	private readonly file: number
	private bytes: number

	private constructor(path: string, file: number) {
		this.path = path
		this.file = file
		this.bytes = fstatSync(file).size
	}

	/** Throws when there is none that can be read. */
	static open(path: string): RegionPack {
		return new RegionPack(path, openSync(path, 'r'))
	}

	/** A new one, to be written. Throws when there is no place for it. */
	static create(path: string): RegionPack {
		return new RegionPack(path, openSync(path, 'wx+', 0o600))
	}

	get size(): number {
		return this.bytes
	}

	close(): void {
		closeSync(this.file)
	}

	/** What is in it, read at one go. */
	regions(): PackedRegion[] {
		const file = this.readAt(0, this.bytes)
		const found: PackedRegion[] = []
		for (let at = 0; file !== undefined && at < file.length; ) {
			const region = this.labelAt(file, at)
			if (region === undefined) break
			found.push(region)
			at += region.length
		}
		return found
	}

	private labelAt(file: Buffer, position: number): PackedRegion | undefined {
		const left = file.length - position
		if (left < HEAD_BYTES + DIGEST_BYTES || file.readUInt32LE(position) !== MAGIC) return undefined
		const u32 = (n: number) => file.readUInt32LE(position + 4 * n)
		const [length, offset, head, hash, instructions, hasMachineCode, count] = [u32(1), u32(2), u32(3), u32(4), u32(5), u32(6) === 1, u32(7)]
		const at = position + HEAD_BYTES + DIGEST_BYTES
		if (length > left || count > MAX_PAGES || length < HEAD_BYTES + DIGEST_BYTES + 4 * count || offset > 0xfff) return undefined
		const pages = Array.from({ length: count }, (_, n) => file.readInt32LE(at + 4 * n))
		// Nobody has looked at the digest yet, and whoever asks for a region by these pages must ask for its entry's.
		if (pages[0] !== 0) return undefined
		const digest = file.toString('hex', position + HEAD_BYTES, at)
		return { pack: this, position, length, digest, offset, head, hash, instructions, hasMachineCode, pages }
	}

	/** What was kept; undefined when it is not what its digest says. */
	read({ position, length, pages }: PackedRegion): Buffer | undefined {
		const record = this.readAt(position, length)
		if (record === undefined) return undefined
		const [head, digest, rest] = [record.subarray(0, HEAD_BYTES), record.subarray(HEAD_BYTES, HEAD_BYTES + DIGEST_BYTES), restOf(record)]
		return digestOf(head, rest).equals(digest) ? rest.subarray(4 * pages.length) : undefined
	}

	/** Adds one; undefined when there is no room for it. Then nothing more can be added. */
	add({ offset, head, hash, pages, instructions, hasMachineCode }: RegionLabel, content: Uint8Array): PackedRegion | undefined {
		const length = HEAD_BYTES + DIGEST_BYTES + 4 * pages.length + content.length
		if (length > MAX_BYTES || pages.length > MAX_PAGES) return undefined
		const record = Buffer.alloc(length)
		for (const [n, word] of [MAGIC, length, offset, head, hash, instructions, Number(hasMachineCode), pages.length].entries())
			record.writeUInt32LE(word, 4 * n)
		const rest = restOf(record)
		for (const [n, page] of pages.entries()) rest.writeInt32LE(page, 4 * n)
		rest.set(content, 4 * pages.length)
		const digest = digestOf(record.subarray(0, HEAD_BYTES), rest)
		record.set(digest, HEAD_BYTES)
		const position = this.bytes
		if (!this.append(record)) return undefined
		return { pack: this, position, length, digest: digest.toString('hex'), offset, head, hash, pages, instructions, hasMachineCode }
	}

	private append(record: Buffer): boolean {
		try {
			if (writeSync(this.file, record, 0, record.length, this.bytes) === record.length) {
				this.bytes += record.length
				return true
			}
		} catch {
			// No room: what is there of it goes.
		}
		try {
			ftruncateSync(this.file, this.bytes)
		} catch {
			// It stays cut off.
		}
		return false
	}

	private readAt(position: number, length: number): Buffer | undefined {
		try {
			const bytes = Buffer.allocUnsafeSlow(length)
			return readSync(this.file, bytes, 0, length, position) === length ? bytes : undefined
		} catch {
			return undefined
		}
	}
}

function restOf(record: Buffer): Buffer {
	return record.subarray(HEAD_BYTES + DIGEST_BYTES)
}

function digestOf(head: Buffer, rest: Buffer): Buffer {
	return createHash('sha256').update(head).update(rest).digest()
}
