import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import type { CodeSnapshot } from '../../x86/translator/code_snapshot.ts'
import type { BuiltRegion } from '../../x86/translator/region_builder.ts'
import { regionKey } from '../../x86/translator/region_key.ts'
import type { Target } from '../../x86/translator/translate.ts'
import { cacheDirectory } from './cache_directory.ts'

/** A region as it is kept. */
export interface CachedRegion {
	/** Offset of the entry point in its page. */
	readonly entry: number
	readonly built: BuiltRegion
	readonly target: Target
	/** Optimised machine code of the module, where V8 gives it away. */
	readonly machineCode?: Uint8Array | undefined
}

export interface RegionCacheOptions {
	/** Where caches of all versions are. */
	readonly directory: string
	/** What made the regions: one that another version made is never used. */
	readonly version: string
	readonly limitBytes?: number
}

/** Where the cache is: `regions` of the user's cache directory; undefined where XENOTYPE_CACHE is `off`. */
export function regionCacheDirectory(env: NodeJS.ProcessEnv = process.env): string | undefined {
	return env.XENOTYPE_CACHE === 'off' ? undefined : join(cacheDirectory(env), 'regions')
}

const LIMIT_BYTES = 128 << 20
/** What eviction leaves of the limit. */
const KEPT = 0.75
/** Caches of other versions that are kept, the youngest. */
const OTHER_VERSIONS = 3
/** A file that was used is marked as young when it is older than that. */
const YOUNG_ms = 3600_000
const DIGEST_BYTES = 32
const NAME = /^([0-9a-f]{8})_(-?\d+(?:,-?\d+)*)_(\d+)(m?)_[0-9a-f]{16}$/

/**
 * Regions on disk, found by their code: `directory/version/KEY_PAGES_INSTRUCTIONS_DIGEST`, one file each. KEY is regionKey() in hexadecimal, PAGES the numbers of
 * the pages that the region lies in; an `m` behind its number of instructions says that there is machine code. A file is a SHA-256 digest and what it is of, a
 * V8-serialised CachedRegion.
 *
 * Files are written whole under another name and renamed, so several processes may use a directory. A file that cannot be read or is not what its digest says is
 * as good as none, and a directory that cannot be written stays as it is. What was not used for longest goes when there is too much.
 */
export class RegionCache {
	private readonly directory: string
	private readonly limitBytes: number
	/** Names of files by key. */
	private readonly names = new Map<number, string[]>()
	private bytes = 0

	private constructor(directory: string, limitBytes: number) {
		this.directory = directory
		this.limitBytes = limitBytes
	}

	/** Undefined where there is no place for it. */
	static open({ directory, version, limitBytes = LIMIT_BYTES }: RegionCacheOptions): RegionCache | undefined {
		const own = join(directory, version)
		try {
			mkdirSync(own, { recursive: true, mode: 0o700 })
			const { uid, mode } = statSync(own)
			// Machine code is run as it is: nobody else may have put it there.
			if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined
			const cache = new RegionCache(own, limitBytes)
			for (const name of readdirSync(own)) cache.register(name)
			cache.trim()
			dropOthers(directory, version)
			return cache
		} catch {
			return undefined
		}
	}

	get size(): number {
		return this.names.size
	}

	/** Keys that there are regions for, and the pages that those lie in. */
	pages(): Map<number, readonly number[]> {
		const pages = new Map<number, readonly number[]>()
		for (const [key, names] of this.names) pages.set(key, [...new Set(names.flatMap(pagesOf))])
		return pages
	}

	/** The region that fits the code, and its name in the cache: the largest, and rather one with its machine code. */
	find(snapshot: CodeSnapshot, target: Target): { readonly name: string; readonly region: CachedRegion } | undefined {
		const names = this.names.get(regionKey(snapshot.pages.get(0)!.bytes, snapshot.entry)) ?? []
		for (const name of names.toSorted((a, b) => worth(b) - worth(a))) {
			if (!pagesOf(name).every((page) => snapshot.pages.has(page))) continue
			const region = this.read(name)
			if (region === undefined || !fits(region, snapshot, target)) continue
			this.markYoung(name)
			return { name, region }
		}
		return undefined
	}

	/** The region of a name, if it is still there. */
	get(name: string): CachedRegion | undefined {
		return this.read(name)
	}

	/** Keeps a region, in the place of the one that is named; `key` is the regionKey() of its entry point. Its name, undefined when it could not be kept. */
	add(key: number, region: CachedRegion, instead?: string): string | undefined {
		const content = serialize(region)
		const digest = createHash('sha256').update(content).digest()
		const { pages, instructions } = region.built
		const worth = `${instructions}${region.machineCode === undefined ? '' : 'm'}`
		const name = `${key.toString(16).padStart(8, '0')}_${pages.join(',')}_${worth}_${digest.toString('hex', 0, 8)}`
		const path = join(this.directory, name)
		const temporary = `${path}.${process.pid}`
		try {
			writeFileSync(temporary, Buffer.concat([digest, content]), { mode: 0o600 })
			renameSync(temporary, path)
		} catch {
			// No room, or no right to write: the region is made anew next time.
			rmSync(temporary, { force: true })
			return undefined
		}
		if (instead !== undefined && instead !== name) this.forget(instead)
		this.register(name)
		this.bytes += DIGEST_BYTES + content.length
		if (this.bytes > this.limitBytes) this.trim()
		return name
	}

	private register(name: string): void {
		const match = NAME.exec(name)
		if (match === null) return
		const key = Number.parseInt(match[1]!, 16)
		const names = this.names.get(key)
		if (names === undefined) this.names.set(key, [name])
		else if (!names.includes(name)) names.push(name)
	}

	private read(name: string): CachedRegion | undefined {
		try {
			const file = readFileSync(join(this.directory, name))
			const content = file.subarray(DIGEST_BYTES)
			if (createHash('sha256').update(content).digest().equals(file.subarray(0, DIGEST_BYTES)))
				return withOwnData(deserialize(content) as CachedRegion)
		} catch {
			// Gone, or not readable.
		}
		this.forget(name)
		return undefined
	}

	private forget(name: string): void {
		const key = Number.parseInt(name.slice(0, 8), 16)
		this.names.set(
			key,
			(this.names.get(key) ?? []).filter((other) => other !== name),
		)
		rmSync(join(this.directory, name), { force: true })
	}

	private markYoung(name: string): void {
		const path = join(this.directory, name)
		const now = Date.now()
		try {
			if (now - statSync(path).mtimeMs > YOUNG_ms) utimesSync(path, now / 1000, now / 1000)
		} catch {
			// It counts as old, then.
		}
	}

	/** Measures the directory, and removes the oldest files, and all that is none of ours, when it is too large. */
	private trim(): void {
		const files = readdirSync(this.directory).flatMap((name) => {
			try {
				const { mtimeMs, size } = statSync(join(this.directory, name))
				return [{ name, mtimeMs, size }]
			} catch {
				return []
			}
		})
		this.bytes = files.reduce((sum, { size }) => sum + size, 0)
		if (this.bytes <= this.limitBytes) return
		for (const { name, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
			if (this.bytes <= this.limitBytes * KEPT) break
			this.forget(name)
			this.bytes -= size
		}
	}
}

/** What is deserialised are views of the whole file, which whoever is sent one of them would get and keep. */
function withOwnData({ built, ...rest }: CachedRegion): CachedRegion {
	const code = built.code.map((range) => ({ ...range, bytes: range.bytes.slice() }))
	return { ...rest, built: { ...built, data: built.data.slice(), code } }
}

function worth(name: string): number {
	const [, , , instructions, hasMachineCode] = NAME.exec(name)!
	return Number(instructions) + (hasMachineCode ? 0.5 : 0)
}

function pagesOf(name: string): number[] {
	return NAME.exec(name)![2]!.split(',').map(Number)
}

function fits({ entry, built, target }: CachedRegion, snapshot: CodeSnapshot, wanted: Target): boolean {
	if (entry !== snapshot.entry) return false
	if (target.state !== wanted.state || target.tlbEntries !== wanted.tlbEntries || target.memoryPages > wanted.memoryPages) return false
	return built.code.every(({ page, from, bytes }) => {
		const present = snapshot.pages.get(page)?.bytes
		return present !== undefined && bytes.every((byte, n) => present[from + n] === byte)
	})
}

/** Removes the caches of other versions but the youngest few. */
function dropOthers(directory: string, version: string): void {
	const others = readdirSync(directory)
		.filter((name) => name !== version && /^[0-9a-f]{16}$/.test(name))
		.map((name) => ({ path: join(directory, name), mtimeMs: statSync(join(directory, name)).mtimeMs }))
	for (const { path } of others.sort((a, b) => b.mtimeMs - a.mtimeMs).slice(OTHER_VERSIONS)) rmSync(path, { recursive: true, force: true })
}
