import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { basename, join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import type { CodeSnapshot } from '../../x86/translator/code_snapshot.ts'
import type { BuiltRegion } from '../../x86/translator/region_builder.ts'
import { type KnownRegion, type RegionKey, regionKey } from '../../x86/translator/region_key.ts'
import type { Target } from '../../x86/translator/translate.ts'
import { cacheDirectory } from './cache_directory.ts'
import { type PackedRegion, RegionPack } from './region_pack.ts'

/** A region as it is kept. */
export interface CachedRegion {
	/** Offset of the entry point in its page. */
	readonly entry: number
	readonly built: BuiltRegion
	readonly target: Target
	/** Where it is compiled well, if it is. */
	readonly optimised?: OptimisedRegion | undefined
}

/** A region of a kept module. */
export interface OptimisedRegion {
	/** Names the module: digest of the record that has it. */
	readonly module: string
	/** The region's place in the module. */
	readonly place: number
}

/** A module of regions, with its machine code. */
export interface KeptModule {
	readonly wasm: Uint8Array
	readonly machineCode: Uint8Array
}

/** What is in a record: a region, and a module when it is the first of that module's. */
interface Content {
	readonly region: CachedRegion
	readonly module?: KeptModule
}

/** A region to be kept. */
export interface RegionToKeep {
	/** Of its entry point. */
	readonly key: RegionKey
	readonly region: CachedRegion
	/** Where it is kept already, which is then forgotten. */
	readonly instead?: PackedRegion | undefined
}

/** The name of a module in its own record, which has no digest yet. */
const HERE = ''

export interface RegionCacheOptions {
	/** Where caches of all versions are. */
	readonly directory: string
	/** What made the regions: one that another version made is never used. */
	readonly version: string
	/** Of all packs. */
	readonly limitBytes?: number
	/** Of a pack, beyond which another is begun. */
	readonly packBytes?: number
}

/** Where the cache is: `regions` of the user's cache directory; undefined where XENOTYPE_CACHE is `off`. */
export function regionCacheDirectory(env: NodeJS.ProcessEnv = process.env): string | undefined {
	return env.XENOTYPE_CACHE === 'off' ? undefined : join(cacheDirectory(env), 'regions')
}

const LIMIT_BYTES = 128 << 20
const PACK_BYTES = 8 << 20
/** What eviction leaves of the limit. */
const KEPT = 0.75
/** Packs that are left as they are; what is more is put together when the cache is closed. */
const MAX_PACKS = 32
/** Caches of other versions that are kept, the youngest. */
const OTHER_VERSIONS = 3
/** A pack that was used is marked as young when it is older than that. */
const YOUNG_ms = 3600_000
/** Begins with the PID of the process that writes it. */
const PACK_NAME = /^(\d+)-[0-9a-f]{16}\.regions$/
const TEMPORARY = '.new'

/**
 * Regions on disk, found by their code: packs (region_pack.ts) of V8-serialised CachedRegions in `directory/version`. A process adds to a pack of its own, begun when
 * it first has something to add, and reads all that were there when it opened the cache; so several processes may use a directory. What cannot be read or is not what
 * its digest says is as good as not there, and a directory that cannot be written stays as it is. When there is too much, the packs go of which nothing was used for
 * longest; whoever has them open may still read them.
 */
export class RegionCache {
	private readonly directory: string
	private readonly limitBytes: number
	private readonly packBytes: number
	private readonly byHash = new Map<number, PackedRegion[]>()
	/** What may have a module, by digest. */
	private readonly byDigest = new Map<string, PackedRegion>()
	private readonly packs = new Set<RegionPack>()
	private readonly young = new Set<RegionPack>()
	/** Where regions are added. */
	private own: RegionPack | undefined
	private isFull = false

	private constructor(directory: string, { limitBytes = LIMIT_BYTES, packBytes = PACK_BYTES }: RegionCacheOptions) {
		this.directory = directory
		this.limitBytes = limitBytes
		this.packBytes = packBytes
	}

	/** Undefined where there is no place for it. */
	static open(options: RegionCacheOptions): RegionCache | undefined {
		const { directory, version } = options
		const own = join(directory, version)
		try {
			mkdirSync(own, { recursive: true, mode: 0o700 })
			const { uid, mode } = statSync(own)
			// Machine code is run as it is: nobody else may have put it there.
			if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined
			const cache = new RegionCache(own, options)
			cache.trim()
			for (const { path } of cache.files()) cache.load(path)
			dropOthers(directory, version)
			return cache
		} catch {
			return undefined
		}
	}

	/** All entry points, with the pages of their regions. */
	known(): KnownRegion[] {
		const known: KnownRegion[] = []
		for (const regions of this.byHash.values()) {
			const { offset, head, hash } = regions[0]!
			known.push({ offset, head, hash, pages: [...new Set(regions.flatMap(({ pages }) => pages))] })
		}
		return known
	}

	/** All regions that are whole. */
	*regions(): Generator<CachedRegion> {
		for (const kept of [...this.byHash.values()].flat()) {
			const region = this.get(kept)
			if (region !== undefined) yield region
		}
	}

	/** The region that fits the code, and where it is kept: the largest, and rather one with its machine code. */
	find(snapshot: CodeSnapshot, target: Target): { readonly kept: PackedRegion; readonly region: CachedRegion } | undefined {
		const { hash } = regionKey(snapshot.pages.get(0)!.bytes, snapshot.entry)
		for (const kept of (this.byHash.get(hash) ?? []).toSorted((a, b) => worth(b) - worth(a))) {
			if (!kept.pages.every((page) => snapshot.pages.has(page))) continue
			const region = this.get(kept)
			if (region === undefined || !fits(region, snapshot, target)) continue
			this.markYoung(kept.pack)
			return { kept, region }
		}
		return undefined
	}

	/** What is kept there, if it is still whole. */
	get(kept: PackedRegion): CachedRegion | undefined {
		const content = this.read(kept)
		if (content === undefined) return undefined
		const { optimised } = content.region
		return withOwnData(
			optimised?.module === HERE ? { ...content.region, optimised: { ...optimised, module: kept.digest } } : content.region,
		)
	}

	/** A module that an OptimisedRegion names, if it is still whole. */
	module(name: string): KeptModule | undefined {
		const kept = this.byDigest.get(name)
		return kept && this.read(kept)?.module
	}

	private read(kept: PackedRegion): Content | undefined {
		try {
			const content = kept.pack.read(kept)
			if (content !== undefined) return deserialize(content) as Content
		} catch {
			// Not ours.
		}
		this.forget(kept)
		this.byDigest.delete(kept.digest)
		return undefined
	}

	/** Keeps a region, and not the one that it replaces. Where it is; undefined when it could not be kept. */
	add(region: RegionToKeep): PackedRegion | undefined {
		return this.write(region, { region: region.region })
	}

	/** Keeps the regions of a module, in the order of their places. */
	addModule(regions: readonly RegionToKeep[], module: KeptModule): void {
		let name = HERE
		for (const [place, one] of regions.entries()) {
			const region = { ...one.region, optimised: { module: name, place } }
			const kept = this.write(one, place === 0 ? { region, module } : { region })
			if (kept === undefined) return
			if (place === 0) name = kept.digest
		}
	}

	private write({ key, instead }: RegionToKeep, content: Content): PackedRegion | undefined {
		const { built, optimised } = content.region
		const label = { ...key, pages: built.pages, instructions: built.instructions, hasMachineCode: optimised !== undefined }
		const kept = this.packWithRoom()?.add(label, serialize(content))
		if (kept === undefined) {
			// No room, or no right to write: regions are made anew next time.
			this.isFull = true
			return undefined
		}
		if (instead !== undefined) this.forget(instead)
		this.register(kept)
		return kept
	}

	/** Nothing is asked of it afterwards. What was added is there for the next who opens one. */
	close(): void {
		try {
			if (this.packs.size > MAX_PACKS) this.putTogether()
		} catch {
			// No room: it stays as it is.
		}
		for (const pack of this.packs) pack.close()
		this.packs.clear()
		this.byHash.clear()
		this.byDigest.clear()
	}

	private packWithRoom(): RegionPack | undefined {
		if (this.isFull) return undefined
		if (this.own !== undefined && this.own.size < this.packBytes) return this.own
		try {
			if (this.own !== undefined) this.trim()
			this.own = this.newPack()
			return this.own
		} catch {
			return undefined
		}
	}

	private newPack(): RegionPack {
		const pack = RegionPack.create(join(this.directory, `${process.pid}-${randomBytes(8).toString('hex')}.regions`))
		this.packs.add(pack)
		return pack
	}

	private load(path: string): void {
		try {
			const pack = RegionPack.open(path)
			this.packs.add(pack)
			for (const region of pack.regions()) this.register(region)
		} catch {
			// Gone, or not readable.
		}
	}

	private register(region: PackedRegion): void {
		if (region.hasMachineCode) this.byDigest.set(region.digest, region)
		const regions = this.byHash.get(region.hash)
		if (regions === undefined) this.byHash.set(region.hash, [region])
		else if (!regions.some(({ digest }) => digest === region.digest)) regions.push(region)
	}

	private forget(kept: PackedRegion): void {
		const left = this.byHash.get(kept.hash)?.filter((other) => other !== kept) ?? []
		if (left.length === 0) this.byHash.delete(kept.hash)
		else this.byHash.set(kept.hash, left)
	}

	private markYoung(pack: RegionPack): void {
		if (this.young.has(pack)) return
		this.young.add(pack)
		const now = Date.now()
		try {
			if (now - statSync(pack.path).mtimeMs > YOUNG_ms) utimesSync(pack.path, now / 1000, now / 1000)
		} catch {
			// It counts as old, then.
		}
	}

	/** The packs on disk, those first of which nothing was used for longest. */
	private files(): { readonly path: string; readonly mtimeMs: number; readonly size: number }[] {
		const files = readdirSync(this.directory).flatMap((name) => {
			const path = join(this.directory, name)
			try {
				const { mtimeMs, size } = statSync(path)
				if (name.endsWith(TEMPORARY) && mtimeMs < Date.now() - YOUNG_ms) rmSync(path, { force: true })
				return PACK_NAME.test(name) ? [{ path, mtimeMs, size }] : []
			} catch {
				return []
			}
		})
		return files.sort((a, b) => a.mtimeMs - b.mtimeMs)
	}

	/** Removes the oldest packs when there is too much. */
	private trim(): void {
		const files = this.files()
		let bytes = files.reduce((sum, { size }) => sum + size, 0)
		if (bytes <= this.limitBytes) return
		for (const { path, size } of files) {
			if (bytes <= this.limitBytes * KEPT) return
			if (path === this.own?.path) continue
			rmSync(path, { force: true })
			bytes -= size
		}
	}

	/** Writes what is in small packs into a new one, which counts as old as the youngest of them. */
	private putTogether(): void {
		const small = this.files().filter(({ path, size }) => size < this.packBytes / 2 && !isBeingWritten(path))
		const parts = [...this.packs].filter(({ path }) => small.some((file) => file.path === path))
		const whole = this.newPack()
		const temporary = whole.path + TEMPORARY
		renameSync(whole.path, temporary)
		let isWhole = true
		for (const regions of this.byHash.values()) {
			for (const kept of regions) {
				if (!parts.includes(kept.pack) || regions.some((other) => isBetter(other, kept))) continue
				const content = kept.pack.read(kept)
				if (content !== undefined) isWhole &&= whole.add(kept, content) !== undefined
			}
		}
		if (!isWhole) return rmSync(temporary, { force: true })
		const mtime_s = Math.max(...small.map(({ mtimeMs }) => mtimeMs)) / 1000
		utimesSync(temporary, mtime_s, mtime_s)
		renameSync(temporary, whole.path)
		for (const { path } of parts) rmSync(path, { force: true })
	}
}

/** What is deserialised are views of the whole file, which whoever is sent one of them would get and keep. */
function withOwnData({ built, ...rest }: CachedRegion): CachedRegion {
	const code = built.code.map((range) => ({ ...range, bytes: range.bytes.slice() }))
	const body = { ...built.body, bytes: built.body.bytes.slice() }
	return { ...rest, built: { ...built, body, data: built.data.slice(), code } }
}

function worth({ instructions, hasMachineCode }: PackedRegion): number {
	return instructions + (hasMachineCode ? 0.5 : 0)
}

/** Whether `other` is the same region with machine code, as far as labels tell. */
function isBetter(other: PackedRegion, kept: PackedRegion): boolean {
	return other.hasMachineCode && !kept.hasMachineCode && other.instructions === kept.instructions && `${other.pages}` === `${kept.pages}`
}

/** By another process that runs. */
function isBeingWritten(path: string): boolean {
	const pid = Number(PACK_NAME.exec(basename(path))?.[1])
	if (pid === process.pid) return false
	try {
		return process.kill(pid, 0)
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === 'EPERM'
	}
}

function fits({ entry, built, target }: CachedRegion, snapshot: CodeSnapshot, wanted: Target): boolean {
	if (entry !== snapshot.entry) return false
	if (target.separate !== wanted.separate) return false
	if (target.state !== wanted.state || target.tlbEntries !== wanted.tlbEntries || target.memoryPages > wanted.memoryPages) return false
	return built.code.every(({ page, from, bytes }) => {
		const present = snapshot.pages.get(page)?.bytes
		return present !== undefined && Buffer.compare(bytes, present.subarray(from, from + bytes.length)) === 0
	})
}

/** Removes the caches of other versions but the youngest few. */
function dropOthers(directory: string, version: string): void {
	const others = readdirSync(directory)
		.filter((name) => name !== version && /^[0-9a-f]{16}$/.test(name))
		.map((name) => ({ path: join(directory, name), mtimeMs: statSync(join(directory, name)).mtimeMs }))
	for (const { path } of others.sort((a, b) => b.mtimeMs - a.mtimeMs).slice(OTHER_VERSIONS)) rmSync(path, { recursive: true, force: true })
}
