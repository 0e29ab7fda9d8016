import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XS_READ } from '../abi/io/xs_wire.ts'
import { Decoder, encodeMessage, type Message, type WireError } from './wire.ts'

function decode(bytes: Uint8Array, step: number): (Message | WireError)[] {
	const decoder = new Decoder()
	const results: (Message | WireError)[] = []
	for (let start = 0; start < bytes.length; start += step) {
		const chunk = bytes.subarray(start, start + step)
		for (let at = 0; at < chunk.length; ) {
			const { taken, result } = decoder.feed(chunk, at)
			if (result !== undefined) results.push(result)
			if (taken === 0) break
			at += taken
		}
	}
	return results
}

const message: Message = { type: XS_READ, reqId: 0xdeadbeef, txId: 7, payload: new TextEncoder().encode('domid\0') }

test('a message is four little-endian words and its payload', () => {
	const bytes = encodeMessage(message)
	assert.equal(Buffer.from(bytes).toString('hex'), '02000000efbeadde0700000006000000646f6d696400')
})

test('messages come out as they went in, however the stream is cut', () => {
	const empty: Message = { type: 6, reqId: 1, txId: 0, payload: new Uint8Array(0) }
	const large: Message = { type: 11, reqId: 2, txId: 0xffffffff, payload: new Uint8Array(4096).fill(0xa5) }
	const stream = Buffer.concat([message, empty, large, message].map(encodeMessage))
	for (const step of [1, 2, 15, 16, 17, 4096, stream.length]) {
		assert.deepEqual(decode(new Uint8Array(stream), step), [message, empty, large, message], `in steps of ${step}`)
	}
})

test('a payload above 4096 bytes is an error, for ever, before any of it is taken', () => {
	const bytes = encodeMessage(message)
	new DataView(bytes.buffer).setUint32(12, 4097, true)
	const decoder = new Decoder()
	assert.deepEqual(decoder.feed(bytes), { taken: 16, result: { error: 'payload too long', length_bytes: 4097 } })
	assert.deepEqual(decoder.feed(encodeMessage(message)), { taken: 0, result: { error: 'payload too long', length_bytes: 4097 } })
})

test('`wanted` is the rest of the header, then of the payload', () => {
	const decoder = new Decoder()
	const bytes = encodeMessage(message)
	assert.equal(decoder.wanted, 16)
	decoder.feed(bytes.subarray(0, 10))
	assert.equal(decoder.wanted, 6)
	decoder.feed(bytes.subarray(10, 16))
	assert.equal(decoder.wanted, 6)
	decoder.feed(bytes.subarray(16))
	assert.equal(decoder.wanted, 16)
})
