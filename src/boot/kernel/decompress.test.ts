import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Compression, decompress, detectCompression } from './decompress.ts'
import { ImageError } from './image_error.ts'
import { COMPRESSED_SAMPLES } from './test_compressed_samples.ts'
import { sampleBytes } from './test_sample.ts'

const sample = sampleBytes()
const LIMIT = { maxBytes: 1 << 20 }

function packed(kind: Compression): Uint8Array {
	return Uint8Array.from(Buffer.from(COMPRESSED_SAMPLES[kind], 'base64'))
}

/** What Linux's build appends. */
function withSize(data: Uint8Array): Uint8Array {
	const size = new Uint8Array(4)
	new DataView(size.buffer).setUint32(0, sample.length, true)
	return Uint8Array.from([...data, ...size])
}

for (const kind of Object.keys(COMPRESSED_SAMPLES) as Compression[]) {
	test(`decompress() restores ${kind} data`, () => {
		assert.equal(detectCompression(packed(kind)), kind)
		assert.deepEqual(decompress(packed(kind), LIMIT), sample)
	})

	test(`decompress() ignores the size that follows ${kind} data`, () => {
		assert.deepEqual(decompress(withSize(packed(kind)), { ...LIMIT, expectedBytes: sample.length }), sample)
	})

	test(`decompress() refuses ${kind} data that exceeds the limit`, () => {
		assert.throws(() => decompress(packed(kind), { maxBytes: sample.length - 1 }), ImageError)
	})

	test(`decompress() refuses ${kind} data that is cut off`, () => {
		const whole = packed(kind)
		for (const length of [14, 40, whole.length >> 1, whole.length - 40])
			assert.throws(() => decompress(whole.subarray(0, length), LIMIT), ImageError, `cut at ${length}`)
	})

	test(`decompress() of damaged ${kind} data ends, with an ImageError or with bytes within the limit`, () => {
		const seed = Math.floor(Math.random() * 2 ** 32)
		let state = seed | 1
		const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0)
		for (let round = 0; round < 60; round++) {
			const damaged = packed(kind)
			for (let i = 0; i < 3; i++) damaged[6 + (random() % (damaged.length - 6))] = random() >>> 24
			try {
				assert.ok(decompress(damaged, LIMIT).length <= LIMIT.maxBytes)
			} catch (error) {
				if (!(error instanceof ImageError)) throw new Error(`seed ${seed}, round ${round}`, { cause: error })
			}
		}
	})
}

test('decompress() notices a wrong byte by the CRC32 of gzip and xz', () => {
	for (const kind of ['gzip', 'xz'] as const) {
		const damaged = packed(kind)
		const at = kind === 'gzip' ? damaged.length - 8 : damaged.length - 40
		damaged[at] = damaged[at]! ^ 1
		assert.throws(() => decompress(damaged, LIMIT), ImageError, kind)
	}
})

test('decompress() names the first bytes of data that it does not know', () => {
	assert.throws(() => decompress(Uint8Array.of(1, 2, 3, 4, 5, 6), LIMIT), /unknown compression.*01 02 03 04 05 06/)
})
