import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import type { CodeSnapshot } from '../../x86/translator/code_snapshot.ts'
import { regionKey } from '../../x86/translator/region_key.ts'
import { type CachedRegion, RegionCache, regionCacheDirectory } from './region_cache.ts'

const VERSION = '0123456789abcdef'
const TARGET = { memoryPages: 17, state: 0x10_0000, tlbEntries: 2048 }
let directory = ''

beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), 'xenotype-regions-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (limitBytes?: number, version = VERSION) =>
	RegionCache.open({ directory, version, ...(limitBytes === undefined ? {} : { limitBytes }) })!
const files = () => readdirSync(join(directory, VERSION)).map((name) => join(directory, VERSION, name))

function page(fill: number): Uint8Array {
	return new Uint8Array(4096).fill(fill)
}
function snapshotOf(pages: readonly (readonly [number, Uint8Array])[], entry = 0x40): CodeSnapshot {
	return { entry, pages: new Map(pages.map(([number, bytes]) => [number, { bytes, entries: [] }])), options: {} }
}
function regionOf(snapshot: CodeSnapshot, instructions = 3): CachedRegion {
	const code = [...snapshot.pages].map(([number, { bytes }]) => ({ page: number, from: 0x40, bytes: bytes.slice(0x40, 0x50) }))
	const built = {
		wasm: Uint8Array.of(1, 2),
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
	cache.add(regionKey(snapshot.pages.get(0)!.bytes, snapshot.entry), region)
}

test('what was added is found by its code when the cache is opened again', () => {
	const snapshot = snapshotOf([
		[0, page(1)],
		[-2, page(2)],
	])
	add(open(), snapshot)
	const again = open()
	assert.deepEqual(again.find(snapshot, TARGET)?.region, regionOf(snapshot))
	assert.deepEqual([...again.pages().values()], [[0, -2]])
})

test('what is found of a region keeps nothing of the file in memory but what it is compiled from', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	add(open(), snapshot, { ...regionOf(snapshot), machineCode: new Uint8Array(1000) })
	const { code, data } = open().find(snapshot, TARGET)!.region.built
	assert.deepEqual([data.buffer.byteLength, code[0]!.bytes.buffer.byteLength], [1, 16])
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
	assert.notEqual(cache.find(snapshot, TARGET), undefined)
})

test('of several that fit the largest is taken, and one that replaces another takes its place', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	const cache = open()
	add(cache, snapshot, regionOf(snapshot, 5))
	add(cache, snapshot, regionOf(snapshot, 7))
	const { name, region } = cache.find(snapshot, TARGET)!
	assert.equal(region.built.instructions, 7)
	cache.add(regionKey(page(1), 0x40), { ...region, machineCode: Uint8Array.of(7) }, name)
	assert.deepEqual(cache.find(snapshot, TARGET)?.region.machineCode, Uint8Array.of(7))
	assert.equal(files().length, 2)
})

test('files that are truncated, changed or none of ours are as good as none', () => {
	const snapshot = snapshotOf([[0, page(1)]])
	const damage: ((path: string) => void)[] = [
		(path) => truncateSync(path, 100),
		(path) => truncateSync(path, 0),
		(path) => {
			const bytes = readFileSync(path)
			bytes[bytes.length - 1]! ^= 1
			writeFileSync(path, bytes)
		},
	]
	for (const harm of damage) {
		add(open(), snapshot)
		harm(files()[0]!)
		writeFileSync(join(directory, VERSION, 'notes.txt'), 'not a region')
		const cache = open()
		assert.equal(cache.find(snapshot, TARGET), undefined)
		add(cache, snapshot)
		assert.notEqual(cache.find(snapshot, TARGET), undefined)
		rmSync(join(directory, VERSION), { recursive: true })
	}
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

test('the files that were not used for longest go when there is too much', () => {
	const snapshots = [1, 2, 3, 4].map((fill) => snapshotOf([[0, page(fill)]]))
	for (const snapshot of snapshots) add(open(), { ...snapshot }, { ...regionOf(snapshot), machineCode: new Uint8Array(1000) })
	for (const path of files()) utimesSync(path, 1000, 1000)
	assert.notEqual(open().find(snapshots[2]!, TARGET), undefined)
	const cache = open(3000)
	assert.notEqual(cache.find(snapshots[2]!, TARGET), undefined)
	assert.ok(files().length < 4)
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
