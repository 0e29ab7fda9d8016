import { concatenate } from '../base/bytes.ts'

/**
 * Writes the "newc" cpio format that Linux unpacks as an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst).
 * Archives may be concatenated: Linux unpacks one after the other, a later entry replacing an earlier one of the same name.
 */
export type CpioEntry =
	| { readonly type: 'directory'; readonly path: string; readonly mode?: number }
	| { readonly type: 'file'; readonly path: string; readonly data: Uint8Array; readonly mode?: number }
	| { readonly type: 'symlink'; readonly path: string; readonly target: string }
	| { readonly type: 'character'; readonly path: string; readonly major: number; readonly minor: number; readonly mode?: number }

const S_IFCHR = 0o020000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
const NO_DATA = new Uint8Array(0)
const utf8 = new TextEncoder()

/**
 * The archive's bytes. Paths are relative, without a leading slash, parents before their children; everything belongs to root and
 * carries the time 0, so that the same entries always make the same bytes.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
	const parts: Uint8Array[] = []
	entries.forEach((entry, index) => {
		const { mode, data } = fileOf(entry)
		const links = entry.type === 'directory' ? 2 : 1
		const device = entry.type === 'character' ? [entry.major, entry.minor] : [0, 0]
		pushEntry(parts, entry.path, [index + 1, mode, 0, 0, links, 0, data.length, 0, 0, device[0]!, device[1]!], data)
	})
	pushEntry(parts, 'TRAILER!!!', [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], NO_DATA)
	return concatenate(parts)
}

function fileOf(entry: CpioEntry): { mode: number; data: Uint8Array } {
	switch (entry.type) {
		case 'directory':
			return { mode: S_IFDIR | (entry.mode ?? 0o755), data: NO_DATA }
		case 'file':
			return { mode: S_IFREG | (entry.mode ?? 0o644), data: entry.data }
		case 'symlink':
			return { mode: S_IFLNK | 0o777, data: utf8.encode(entry.target) }
		case 'character':
			return { mode: S_IFCHR | (entry.mode ?? 0o600), data: NO_DATA }
	}
}

/** `fields`: ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor. */
function pushEntry(parts: Uint8Array[], path: string, fields: readonly number[], data: Uint8Array): void {
	const name = utf8.encode(`${path}\0`)
	const header = `070701${[...fields, name.length, 0].map((field) => field.toString(16).padStart(8, '0')).join('')}`
	parts.push(utf8.encode(header), name, padding(header.length + name.length), data, padding(data.length))
}

function padding(length: number): Uint8Array {
	return new Uint8Array(-length & 3)
}
