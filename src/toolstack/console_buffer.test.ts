import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleBuffer } from './console_buffer.ts'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (string: string) => new TextEncoder().encode(string)

test('read() gives what was written, from any position', () => {
	const buffer = new ConsoleBuffer(16)
	buffer.append(bytes('hello '))
	buffer.append(bytes('world'))
	assert.equal(text(buffer.read(0).bytes), 'hello world')
	assert.deepEqual(buffer.read(6, 2), { bytes: bytes('wo'), next: 8, lost: 0 })
	assert.equal(buffer.read(11).bytes.length, 0)
})

test('the ring keeps the newest bytes and counts what a reader lost', () => {
	const buffer = new ConsoleBuffer(8)
	buffer.append(bytes('abcdef'))
	buffer.append(bytes('ghijk'))
	assert.equal(buffer.start, 3)
	const { bytes: kept, lost, next } = buffer.read(0)
	assert.equal(text(kept), 'defghijk')
	assert.equal(lost, 3)
	assert.equal(next, 11)
	buffer.append(bytes('0123456789ABCDEF'))
	assert.equal(text(buffer.read(buffer.start).bytes), '89ABCDEF')
	assert.equal(buffer.end, 27)
})

test('onChange() hears of writes and of the end, until it is stopped', () => {
	const buffer = new ConsoleBuffer(8)
	let heard = 0
	const stop = buffer.onChange(() => heard++)
	buffer.append(bytes('a'))
	buffer.close()
	buffer.close()
	assert.equal(heard, 2)
	stop()
	buffer.append(bytes('b'))
	assert.equal(heard, 2)
})

test('type() reaches the guest until the domain has ended', () => {
	const buffer = new ConsoleBuffer(8)
	const typed: string[] = []
	buffer.setInput((input) => typed.push(text(input)))
	buffer.type(bytes('ls\r'))
	buffer.close()
	buffer.type(bytes('x'))
	assert.deepEqual(typed, ['ls\r'])
})
