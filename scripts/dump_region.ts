// Shows what the translator makes of guest code: `node scripts/dump_region.ts [--] PROGRAM [ARG...]` lists the regions of a program in the order in which they were made,
// `node scripts/dump_region.ts --cache` those of the translation cache, which guests have run with these sources. With --region N: the guest's code of that one, and its
// WebAssembly. PROGRAM is a static x86-64 executable (bench/flat_machine.ts), such as build/bench/sieve.
import { parseArgs } from 'node:util'
import { buildingRoom, runFlat } from '../bench/flat_machine.ts'
import { loadCore } from '../src/platform/node/load_core.ts'
import { RegionCache, regionCacheDirectory } from '../src/platform/node/region_cache.ts'
import { regionVersion } from '../src/platform/node/region_version.ts'
import { PAGE_SIZE } from '../src/x86/machine_memory.ts'
import { CodeReader, READER_BYTES } from '../src/x86/translator/code_reader.ts'
import { type CodeSnapshot, SnapshotPages } from '../src/x86/translator/code_snapshot.ts'
import type { CompileReply, CompileRequest, RegionCompiler } from '../src/x86/translator/compiler.ts'
import { regionModule } from '../src/x86/translator/core_imports.ts'
import { discover } from '../src/x86/translator/discover.ts'
import { type BuildingRoom, type BuiltRegion, buildRegion, type CodeRange } from '../src/x86/translator/region_builder.ts'
import { describe, describeEnd, offset, textOf } from './region_listing.ts'

const LIMIT_MS = 120_000

interface Made {
	readonly snapshot: CodeSnapshot
	readonly built: BuiltRegion
}

/** Builds regions at once, and remembers them. */
class RecordingCompiler implements RegionCompiler {
	readonly hasCache = false
	readonly made: Made[] = []
	private readonly room: BuildingRoom
	private readonly replies: CompileReply[] = []

	constructor(room: BuildingRoom) {
		this.room = room
	}

	request({ id, snapshot, target }: CompileRequest): void {
		const built = buildRegion(snapshot, target, this.room)
		if (built === undefined) return void this.replies.push({ type: 'region', id, region: undefined })
		this.made.push({ snapshot, built })
		const { body, ...rest } = built
		const module = new WebAssembly.Module(regionModule([body], target.memoryPages) as BufferSource)
		this.replies.push({
			type: 'region',
			id,
			region: { ...rest, module, place: 0, wasmBytes: body.bytes.length, isOptimised: true, isCached: false, time_ms: 0 },
		})
	}

	hotter(): void {}

	improve(): void {}

	cancel(): void {}

	cachedIn(): [] {
		return []
	}

	receive(): CompileReply | undefined {
		return this.replies.shift()
	}
}

function readerOf({ snapshot }: Made, { core, memory, at }: BuildingRoom): CodeReader {
	return new CodeReader(core, memory, at, new SnapshotPages(snapshot, memory, at + READER_BYTES))
}

/** By blocks. */
function blocksOf(made: Made, room: BuildingRoom): string[] {
	const { snapshot } = made
	const { blocks } = discover(snapshot.entry, readerOf(made, room), snapshot.options)!
	const shown = [...blocks.values()].filter(({ instructions }) => instructions.length > 0).sort((a, b) => a.start - b.start)
	return shown.flatMap((block) => [
		'',
		`${offset(block.start)}:${describeEnd(block)}`,
		...block.instructions.map((one) => describe(one, snapshot)),
	])
}

/** By stretches that do not touch: of a region of the cache only the bytes of its instructions are known. */
function stretchesOf(made: Made, room: BuildingRoom): string[] {
	const reader = readerOf(made, room)
	const lines: string[] = []
	let at = Number.NEGATIVE_INFINITY
	for (const { page, from, bytes } of made.built.code) {
		const start = page * PAGE_SIZE + from
		if (at < start) {
			lines.push('', `${offset(start)}:`)
			at = start
		}
		for (const end = start + bytes.length; at < end; ) {
			const instruction = reader.decode(at)
			if (instruction === undefined) break
			lines.push(describe(instruction, made.snapshot))
			at += instruction.length
		}
	}
	return lines
}

/** Pages that hold nothing but the region's code. */
function snapshotOf(entry: number, code: readonly CodeRange[]): CodeSnapshot {
	const pages = new Map<number, { bytes: Uint8Array; entries: [] }>()
	for (const { page, from, bytes } of code) {
		const known = pages.get(page) ?? { bytes: new Uint8Array(PAGE_SIZE), entries: [] }
		pages.set(page, known)
		known.bytes.set(bytes, from)
	}
	return { entry, pages, options: {} }
}

function keptRegions(): Made[] {
	const directory = regionCacheDirectory()
	const cache = directory && RegionCache.open({ directory, version: regionVersion() })
	const made = cache ? [...cache.regions()].map(({ entry, built }) => ({ snapshot: snapshotOf(entry, built.code), built })) : []
	if (cache) cache.close()
	return made
}

const { values, positionals } = parseArgs({ options: { region: { type: 'string' }, cache: { type: 'boolean' } }, allowPositionals: true })
const [program, ...args] = positionals
if ((program === undefined) !== (values.cache === true)) {
	console.error('usage: dump_region.ts [--region N] --cache\n       dump_region.ts [--region N] [--] PROGRAM [ARG...]')
	process.exit(2)
}
const core = await loadCore((line) => console.error(line))
const room = buildingRoom(core)
const all = program === undefined ? keptRegions() : regionsOf(program)
if (values.region === undefined) {
	for (const [n, { snapshot, built }] of all.entries()) {
		const bytes = built.code.reduce((sum, range) => sum + range.bytes.length, 0)
		console.log(
			`${n}: entry ${offset(snapshot.entry)}, ${built.instructions} instructions of ${bytes} bytes, ${built.body.bytes.length} bytes of WebAssembly`,
		)
	}
} else {
	const made = all[Number(values.region)]
	if (made === undefined) {
		console.error(`there is no region ${values.region}: there are ${all.length}, from 0`)
		process.exit(1)
	}
	const { snapshot, built } = made
	const pages = `${built.pages.length} page${built.pages.length === 1 ? '' : 's'}`
	console.log(
		`entry ${offset(snapshot.entry)} of its page, ${built.instructions} instructions, ${pages}; offsets are from the entry's page`,
	)
	console.log((program === undefined ? stretchesOf(made, room) : blocksOf(made, room)).join('\n'))
	console.log(`\n${await textOf(regionModule([built.body], 1))}`)
}

function regionsOf(program: string): readonly Made[] {
	const compiler = new RecordingCompiler(room)
	runFlat(core, program, args, LIMIT_MS, { translated: true, compiler })
	return compiler.made
}
