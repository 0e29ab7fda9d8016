import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeFrame, FrameReader } from './frames.ts'

const FRAME_DATA = 0
const FRAME_END = 1

const bytes = (text: string) => new TextEncoder().encode(text)

test('FrameReader finds the same frames however the stream is cut', () => {
	const stream = Buffer.concat([
		encodeFrame(FRAME_DATA, bytes('hello')),
		encodeFrame(FRAME_DATA, bytes('')),
		encodeFrame(FRAME_END, bytes('{}')),
	])
	for (let size = 1; size <= stream.length; size++) {
		const frames: string[] = []
		const reader = new FrameReader((type, payload) => frames.push(`${type}:${new TextDecoder().decode(payload)}`))
		for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size))
		assert.deepEqual(frames, ['0:hello', '0:', '1:{}'], `cut every ${size} bytes`)
	}
})

test('FrameReader refuses a frame that is too long before it buffers it', () => {
	const reader = new FrameReader(() => {})
	assert.throws(() => reader.push(Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff)), RangeError)
})
