import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import type { CodeSnapshot } from '../../x86/translator/code_snapshot.ts'
import { type RegionKey, regionKey } from '../../x86/translator/region_key.ts'
import { type CachedRegion, RegionCache, regionCacheDirectory } from './region_cache.ts'
import { RegionPack } from './region_pack.ts'

const VERSION = '0123456789abcdef'
const TARGET = { memoryPages: 17, state: 0x10_0000, tlbEntries: 2048, separate: false }
let directory = ''

beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), 'xenotype-regions-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (limits: { readonly limitBytes?: number; readonly packBytes?: number } = {}, version = VERSION) =>
	RegionCache.open({ directory, version, ...limits })!
const flip = (path: string, at: number) => {
	const bytes = readFileSync(path)
	bytes[at]! ^= 1
	writeFileSync(path, bytes)
}
/** Of the first record of a pack. */
const lengthOfFirst = (path: string) => readFileSync(path).readUInt32LE(4)
const files = () => readdirSync(join(directory, VERSION)).map((name) => join(directory, VERSION, name))

function page(fill: number): Uint8Array {
	return new Uint8Array(4096).fill(fill)
}
function keyOf(snapshot: CodeSnapshot): RegionKey {
	return regionKey(snapshot.pages.get(0)!.bytes, snapshot.entry)
}
function snapshotOf(pages: readonly (readonly [number, Uint8Array])[], entry = 0x40): CodeSnapshot {
	return { entry, pages: new Map(pages.map(([number, bytes]) => [number, { bytes, entries: [] }])), options: {} }
}
function regionOf(snapshot: CodeSnapshot, instructions = 3): CachedRegion {
	const code = [...snapshot.pages].map(([number, { bytes }]) => ({ page: number, from: 0x40, bytes: bytes.slice(0x40, 0x50) }))
	const built = {
		body: { bytes: Uint8Array.of(1, 2), start: 1, hints: [], globals: [] },
		data: Uint8Array.of(3),
		code,
		pages: [...snapshot.pages.keys()],
		indirect: [],
		instructions,
		repeats: true,
	}
	return { entry: snapshot.entry, built, target: TARGET }
}
function add(cache: RegionCache, snapshot: CodeSnapshot, region = regionOf(snapshot)): void {
	cache.add({ key: keyOf(snapshot), region })
}
function addModule(cache: RegionCache, snapshots: readonly CodeSnapshot[], machineCode: Uint8Array): void {
	const regions = snapshots.map((snapshot) => ({ key: keyOf(snapshot), region: regionOf(snapshot) }))
	cache.addModule(regions, { wasm: Uint8Array.of(9), machineCode })
}
/** What is kept of the module that the region of the snapshot is in, and its place there. */
function moduleOf(cache: RegionCache, snapshot: CodeSnapshot): { machineCode: Uint8Array | undefined; place: number } | undefined {
	const optimised = cache.find(snapshot, TARGET)?.region.optimised
	return optimised && { machineCode: cache.module(optimised.module)?.machineCode, place: optimised.place }
}

test('what was added is found by its code when the cache is opened again', () => {
	const snapshot = snapshotOf([
		[0, page(1)],
		[-2, page(2)],
	])
	add(open(), snapshot)
	const again = open()
	assert.deepEqual(again.find(snapshot, TARGET)?.region, regionOf(snapshot))
	assert.deepEqual(
		again.known().map(({ offset, pages }) => ({ offset, pages })),
		[{ offset: 0x40, pages: [0, -2] }],
	)
})

test('regions() has all that are whole', () => {
	const snapshots = [1, 2, 3].map((fill) => snapshotOf([[0, page(fill)]]))
	const cache = open()
	for (const snapshot of snapshots) add(cache, snapshot)
	assert.deepEqual(
		[...open().regions()],
		snapshots.map((snapshot) => regionOf(snapshot)),
	)
	const [pack] = files()
	flip(pack!, lengthOfFirst(pack!) - 1)
	assert.ok([...cache.regions()].length < 3)
})

test('what is found of a region keeps nothing else of the file in memory', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	addModule(open(), [snapshot], new Uint8Array(1000))
	const { body, code, data } = open().find(snapshot, TARGET)!.region.built
	assert.deepEqual([body.bytes.buffer.byteLength, data.buffer.byteLength, code[0]!.bytes.buffer.byteLength], [2, 1, 16])
})

test('a region does not fit where a byte differs, a page is missing, the entry point is another or the target is', () => {
	const snapshot = snapshotOf([
		[0, page(1)],
		[1, page(2)],
	])
	const cache = open()
	add(cache, snapshot)
	const changed = page(2)
	changed[0x4f] = 9
	const others = [
		snapshotOf([
			[0, page(1)],
			[1, changed],
		]),
		snapshotOf([[0, page(1)]]),
		{ ...snapshot, entry: 0x41 },
	]
	for (const other of others) assert.equal(cache.find(other, TARGET), undefined)
	assert.equal(cache.find(snapshot, { ...TARGET, state: 0 }), undefined)
	assert.equal(cache.find(snapshot, { ...TARGET, separate: true }), undefined)
	assert.notEqual(cache.find(snapshot, TARGET), undefined)
})

test('of several that fit the largest is taken, and one that replaces another takes its place', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	const cache = open()
	add(cache, snapshot, regionOf(snapshot, 5))
	add(cache, snapshot, regionOf(snapshot, 7))
	const { kept, region } = cache.find(snapshot, TARGET)!
	assert.equal(region.built.instructions, 7)
	cache.addModule([{ key: regionKey(page(1), 0x40), region, instead: kept }], { wasm: Uint8Array.of(9), machineCode: Uint8Array.of(7) })
	for (const one of [cache, open()]) assert.deepEqual(moduleOf(one, snapshot), { machineCode: Uint8Array.of(7), place: 0 })
})

test('regions of a module know its name and their places; without the record that has it they are to be compiled again', () => {
	const snapshots = [1, 2, 3].map((fill) => snapshotOf([[0, page(fill)]]))
	const writer = open()
	addModule(writer, snapshots, Uint8Array.of(7))
	writer.close()
	const cache = open()
	for (const [place, snapshot] of snapshots.entries()) assert.deepEqual(moduleOf(cache, snapshot), { machineCode: Uint8Array.of(7), place })
	assert.equal(cache.module('0123'), undefined)
	cache.close()
	const path = files()[0]!
	flip(path, lengthOfFirst(path) - 1)
	const damaged = open()
	assert.equal(damaged.find(snapshots[0]!, TARGET), undefined)
	assert.deepEqual(moduleOf(damaged, snapshots[1]!), { machineCode: undefined, place: 1 })
})

test('what is damaged in a pack is as good as none, and what is before it is there', () => {
	const snapshots = [1, 2].map((fill) => snapshotOf([[0, page(fill)]]))
	const damage: ((path: string) => void)[] = [
		(path) => truncateSync(path, statSync(path).size - 1),
		(path) => truncateSync(path, statSync(path).size - 200),
		(path) => flip(path, statSync(path).size - 1),
		(path) => flip(path, lengthOfFirst(path)),
		(path) => flip(path, lengthOfFirst(path) + 7),
		(path) => flip(path, lengthOfFirst(path) + 31),
		(path) => flip(path, lengthOfFirst(path) + 40),
	]
	for (const harm of damage) {
		const writer = open()
		for (const snapshot of snapshots) add(writer, snapshot)
		writer.close()
		harm(files()[0]!)
		writeFileSync(join(directory, VERSION, 'notes.txt'), 'not a region')
		writeFileSync(join(directory, VERSION, '1-0123456789abcdef.regions'), 'not a pack')
		const cache = open()
		assert.notEqual(cache.find(snapshots[0]!, TARGET), undefined)
		assert.equal(cache.find(snapshots[1]!, TARGET), undefined)
		add(cache, snapshots[1]!)
		assert.notEqual(cache.find(snapshots[1]!, TARGET), undefined)
		rmSync(join(directory, VERSION), { recursive: true })
	}
})

test('whatever is damaged in a label, nothing is found by it but what it was', () => {
	const bytes = new Map([0, 1, -2].map((number) => [number, page(number + 3)]))
	const snapshot = snapshotOf([...bytes])
	const writer = open()
	add(writer, snapshot)
	writer.close()
	const path = files()[0]!
	const whole = readFileSync(path)
	const labelBytes = 64 + 4 * bytes.size
	for (let bit = 0; bit < labelBytes * 8; bit += 5) {
		const damaged = Buffer.from(whole)
		damaged[bit >> 3]! ^= 1 << (bit & 7)
		writeFileSync(path, damaged)
		const cache = open()
		// As a vCPU asks for what is known of a page.
		for (const { offset, pages } of cache.known()) {
			const asked = snapshotOf(
				pages.map((number) => [number, bytes.get(number) ?? page(0)]),
				offset,
			)
			const found = cache.find(asked, TARGET)
			if (found !== undefined) assert.deepEqual(found.region, regionOf(snapshot))
		}
		cache.close()
	}
})

test('a record that is whole but none of ours is not used', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	const cache = open()
	cache.close()
	const pack = RegionPack.create(join(directory, VERSION, '1-0123456789abcdef.regions'))
	const label = { ...regionKey(page(1), 0x40), pages: [0], instructions: 3, hasMachineCode: false }
	pack.add(label, Uint8Array.of(1, 2, 3))
	pack.close()
	assert.equal(open().known().length, 1)
	assert.equal(open().find(snapshot, TARGET), undefined)
})

test('several processes may write to one directory', () => {
	const snapshots = [1, 2].map((fill) => snapshotOf([[0, page(fill)]]))
	const writers = [open(), open()]
	for (const [n, writer] of writers.entries()) add(writer, snapshots[n]!)
	for (const writer of writers) writer.close()
	for (const snapshot of snapshots) assert.notEqual(open().find(snapshot, TARGET), undefined)
})

test('a pack that another removes can still be read by who has it open', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	const cache = open()
	add(cache, snapshot)
	for (const path of files()) rmSync(path)
	assert.notEqual(cache.find(snapshot, TARGET), undefined)
})

test('many small packs become one, of the better ones of what they hold', () => {
	const snapshots = Array.from({ length: 40 }, (_, n) => snapshotOf([[0, page(n)]]))
	for (const snapshot of snapshots) {
		const cache = open()
		if (snapshot === snapshots[39]) addModule(cache, snapshots.slice(0, 2), Uint8Array.of(7))
		add(cache, snapshot)
		cache.close()
	}
	assert.ok(files().length < 40)
	const cache = open()
	for (const snapshot of snapshots) assert.deepEqual(cache.find(snapshot, TARGET)?.region.built, regionOf(snapshot).built)
	for (const place of [0, 1]) assert.deepEqual(moduleOf(cache, snapshots[place]!), { machineCode: Uint8Array.of(7), place })
})

test('another version sees nothing of it, and only the youngest versions are kept', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	add(open(), snapshot)
	for (let n = 0; n < 6; n++) {
		const version = `${n}`.padStart(16, 'a')
		const cache = open(undefined, version)
		assert.equal(cache.find(snapshot, TARGET), undefined)
		utimesSync(join(directory, version), n + 1, n + 1)
	}
	assert.notEqual(open().find(snapshot, TARGET), undefined)
	assert.equal(readdirSync(directory).length, 4)
})

test('the packs of which nothing was used for longest go when there is too much', () => {
	const snapshots = [1, 2, 3, 4].map((fill) => snapshotOf([[0, page(fill)]]))
	for (const snapshot of snapshots) {
		const cache = open()
		addModule(cache, [snapshot], new Uint8Array(1000))
		cache.close()
	}
	for (const path of files()) utimesSync(path, 1000, 1000)
	assert.notEqual(open().find(snapshots[2]!, TARGET), undefined)
	const cache = open({ limitBytes: 4000 })
	assert.notEqual(cache.find(snapshots[2]!, TARGET), undefined)
	assert.ok(files().length < 4)
})

test('what one process adds stays within the limit', () => {
	const cache = open({ limitBytes: 10_000, packBytes: 2000 })
	for (let fill = 0; fill < 60; fill++) add(cache, snapshotOf([[0, page(fill)]]))
	const bytes = files().reduce((sum, path) => sum + statSync(path).size, 0)
	assert.ok(bytes <= 10_000 + 3000)
})

test('a directory that cannot be made, or that others may write to, is no cache', () => {
	writeFileSync(join(directory, 'file'), '')
	assert.equal(RegionCache.open({ directory: join(directory, 'file'), version: VERSION }), undefined)
	open()
	chmodSync(join(directory, VERSION), 0o777)
	assert.equal(RegionCache.open({ directory, version: VERSION }), undefined)
})

test('regionCacheDirectory() is under the cache directory, and undefined where XENOTYPE_CACHE is off', () => {
	assert.equal(regionCacheDirectory({ XDG_CACHE_HOME: '/c' }), '/c/xenotype/regions')
	assert.equal(regionCacheDirectory({ XDG_CACHE_HOME: '/c', XENOTYPE_CACHE: 'off' }), undefined)
})
