import type { FunctionBody } from '../../wasm/module.ts'
import * as L from '../core/layout.ts'
import type { RegionExports } from '../cpu.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import { CodeReader, READER_BYTES } from './code_reader.ts'
import { type CodeSnapshot, MAX_SNAPSHOT_PAGES, SnapshotPages } from './code_snapshot.ts'
import { discover, type Region } from './discover.ts'
import { pageOf } from './instruction.ts'
import { Shape } from './structure.ts'
import { dispatchTable, type Target, translate } from './translate.ts'

/** Bytes of one page that a region was made from. */
export interface CodeRange {
	/** Number of the page, counted from the entry's. */
	readonly page: number
	/** Offset in the page. */
	readonly from: number
	readonly bytes: Uint8Array
}

/** A region as plain data. It fits any domain: what it needs in the domain's memory, and at which address, it is told when it is instantiated. */
export interface BuiltRegion {
	/** For a regionModule(). */
	readonly body: FunctionBody
	/** What the region keeps in the domain's memory: its REGION_* fields (core/layout.ts) but for the frames, and its records. */
	readonly data: Uint8Array
	readonly code: readonly CodeRange[]
	/** Its pages, the entry's first, as in REGION_FRAMES. */
	readonly pages: readonly number[]
	/** Offsets from the entry's page that its dispatcher goes to. */
	readonly indirect: readonly number[]
	readonly instructions: number
	/** Whether it has loops. */
	readonly repeats: boolean
}

/** Room for a builder, in a memory that the core's decoder reads and writes. */
export interface BuildingRoom {
	readonly core: Pick<RegionExports, 'decodeRecord'>
	readonly memory: WebAssembly.Memory
	/** Host address of ROOM_BYTES bytes that nothing else uses. */
	readonly at: number
}

/** Bytes that a builder needs to work in, rounded up to whole records. */
export const ROOM_BYTES = Math.ceil((READER_BYTES + MAX_SNAPSHOT_PAGES * PAGE_SIZE) / L.REC_SIZE) * L.REC_SIZE

/** Makes a region of a snapshot: the same one of the same snapshot, on any thread. Undefined when nothing at the entry point can be translated. */
export function buildRegion(snapshot: CodeSnapshot, target: Target, { core, memory, at }: BuildingRoom): BuiltRegion | undefined {
	const reader = new CodeReader(core, memory, at, new SnapshotPages(snapshot, memory, at + READER_BYTES))
	const found = discover(snapshot.entry, reader, snapshot.options)
	if (found === undefined) return undefined
	const records = reader.take()
	const data = withTable(records, dispatchTable(found))
	const view = new DataView(data.buffer)
	view.setUint32(L.REGION_PAGES, found.pages.length, true)
	for (const [n, page] of found.pages.entries()) view.setInt32(L.REGION_FRAMES + n * L.REGION_FRAME_SIZE, page, true)
	const shape = new Shape(found)
	const body = translate(found, target, records.length, shape)
	const { pages, indirect, instructions } = found
	return { body, data, code: rangesOf(found, snapshot), pages, indirect, instructions, repeats: shape.repeats }
}

/** The table behind the records, in whole records. */
function withTable(records: Uint8Array, table: Uint8Array): Uint8Array {
	const data = new Uint8Array(records.length + Math.ceil(table.length / L.REC_SIZE) * L.REC_SIZE)
	data.set(records)
	data.set(table, records.length)
	return data
}

/** The bytes of all instructions, in ranges that do not touch. */
function rangesOf(region: Region, snapshot: CodeSnapshot): CodeRange[] {
	const spans: { from: number; to: number }[] = []
	for (const { start, instructions } of [...region.blocks.values()].sort((a, b) => a.start - b.start)) {
		const last = instructions.at(-1)
		if (last === undefined) continue
		const to = last.off + last.length
		const before = spans.at(-1)
		if (before !== undefined && start <= before.to) before.to = Math.max(before.to, to)
		else spans.push({ from: start, to })
	}
	return spans.flatMap(({ from, to }) => byPage(from, to, snapshot))
}

function byPage(from: number, to: number, snapshot: CodeSnapshot): CodeRange[] {
	const ranges: CodeRange[] = []
	for (let at = from; at < to; ) {
		const page = pageOf(at)
		const base = page * PAGE_SIZE
		const end = Math.min(to, base + PAGE_SIZE)
		ranges.push({ page, from: at - base, bytes: snapshot.pages.get(page)!.bytes.slice(at - base, end - base) })
		at = end
	}
	return ranges
}
