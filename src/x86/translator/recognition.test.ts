import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Recognition } from './recognition.ts'
import { KnownRegions, regionKey } from './region_key.ts'

const page = Uint8Array.from({ length: 4096 }, (_, n) => (n * 7) & 0xff)

test('regions are known by their first bytes at their place in a page', () => {
	const offsets = [0, 0x123, 4093, 4095]
	const known = new KnownRegions(offsets.map((offset) => ({ ...regionKey(page, offset), pages: [0, 1] })))
	const found = (bytes: Uint8Array) => known.inPage(bytes).map(({ offset }) => offset)
	assert.deepEqual(found(page), offsets)
	assert.deepEqual(
		found(page.with(0x123 + 15, 1)),
		offsets.filter((offset) => offset !== 0x123),
	)
	assert.deepEqual(found(new Uint8Array(4096).fill(0xcc)), [])
})

test('a page is looked at once for each version of its code, where it is mapped', () => {
	let version = 1
	const mapped = new Map([[0x7000, 7]])
	const recognition = new Recognition({ codeFrameAt: (va) => mapped.get(va) ?? -1, frameVersion: () => version })
	recognition.meet(7, 0x7000)
	recognition.meet(8, 0x8000)
	assert.deepEqual([recognition.take(), recognition.take()], [{ mfn: 7, linear: 0x7000 }, undefined])
	recognition.meet(7, 0x7000)
	assert.equal(recognition.take(), undefined)
	version = 2
	mapped.set(0x8000, 8)
	recognition.meet(7, 0x7000)
	recognition.meet(8, 0x8000)
	assert.deepEqual([recognition.take()?.mfn, recognition.take()?.mfn, recognition.take()], [7, 8, undefined])
})
