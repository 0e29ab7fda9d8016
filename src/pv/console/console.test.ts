import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XENCONS_OUT_PROD } from '../../abi/io/console.ts'
import { ConsoleBackend, type ConsoleOptions } from './backend.ts'
import { ConsoleFrontend } from './frontend.ts'
import { History } from './history.ts'

function pair(options?: ConsoleOptions) {
	const page = new Uint8Array(new SharedArrayBuffer(4096))
	const signals = { toGuest: 0 }
	const backend = new ConsoleBackend({ page, notify: () => signals.toGuest++ }, options)
	const frontend = new ConsoleFrontend({ page, notify: () => backend.onEvent() })
	return { page, signals, backend, frontend }
}

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (...chunks: Uint8Array[]) => chunks.map((chunk) => new TextDecoder().decode(chunk)).join('')

test('output reaches every subscriber, and the guest is told that there is room again', () => {
	const { backend, frontend, signals } = pair()
	const seen: [string[], string[]] = [[], []]
	backend.subscribe((chunk) => seen[0].push(text(chunk)))
	backend.subscribe((chunk) => seen[1].push(text(chunk)))
	frontend.write(bytes('Linux version '))
	frontend.write(bytes('6.1.0\n'))
	assert.deepEqual(seen, [
		['Linux version ', '6.1.0\n'],
		['Linux version ', '6.1.0\n'],
	])
	assert.equal(signals.toGuest, 2)
})

test('a reader that comes later gets what came before, then what follows, and nothing after it leaves', () => {
	const { backend, frontend } = pair()
	frontend.write(bytes('early '))
	let seen = ''
	const leave = backend.subscribe((chunk) => (seen += text(chunk)), { replay: true })
	frontend.write(bytes('late'))
	leave()
	frontend.write(bytes(' gone'))
	assert.equal(seen, 'early late')
	assert.equal(text(backend.history().bytes), 'early late gone')
})

test('output longer than the ring passes in full, across wraps of the ring', () => {
	const { backend, frontend } = pair()
	const all = bytes('0123456789abcdefghijklmnopqrstu'.repeat(1000))
	for (let at = 0; at < all.length; ) at += frontend.write(all.subarray(at, at + 1500))
	assert.deepEqual(backend.history().bytes, all)
})

test('history keeps the last bytes up to its limit and says where they start', () => {
	const { backend, frontend } = pair({ history_bytes: 10 })
	for (const part of ['abcdef', 'ghijkl', 'm']) frontend.write(bytes(part))
	assert.deepEqual({ ...backend.history(), bytes: text(backend.history().bytes) }, { start: 3, end: 13, bytes: 'defghijklm' })
	assert.equal(text(backend.history(11).bytes), 'lm')
})

test('history written byte by byte is whole and holds few chunks', () => {
	const history = new History(100_000)
	for (let i = 0; i < 50_000; i++) history.append(new Uint8Array([i]))
	assert.deepEqual(
		history.read(),
		Uint8Array.from({ length: 50_000 }, (_, i) => i),
	)
})

test('input waits until the guest has room, in order, and more than the limit is refused', () => {
	const { backend, frontend } = pair({ input_bytes: 2000 })
	const typed = bytes('0123456789'.repeat(400))
	const accepted = backend.write(typed)
	assert.equal(accepted, 2000, 'the queue takes its limit')
	const again = backend.write(typed.subarray(accepted))
	assert.equal(again, 1024, 'as much as the ring took from the queue')
	assert.equal(backend.write(typed), 0)
	let spaces = 0
	backend.onInputSpace(() => spaces++)
	const read: Uint8Array[] = []
	for (let chunk = frontend.read(); chunk.length > 0; chunk = frontend.read()) read.push(chunk)
	assert.equal(text(...read), text(typed.subarray(0, 3024)))
	assert.equal(spaces, 2)
})

test('an impossible out_prod is ignored: nothing is read and nothing is signalled', () => {
	const { backend, page, signals } = pair()
	const words = new Int32Array(page.buffer)
	for (const prod of [2049, -1, 0x7fffffff]) {
		Atomics.store(words, XENCONS_OUT_PROD / 4, prod)
		backend.onEvent()
	}
	assert.equal(backend.history().end, 0)
	assert.equal(signals.toGuest, 0)
})

test('a domain that is gone leaves its last output behind', () => {
	const { backend, page } = pair()
	new ConsoleFrontend({ page, notify: () => {} }).write(bytes('Power down'))
	backend.disconnect()
	assert.equal(text(backend.history().bytes), 'Power down')
	assert.equal(backend.write(bytes('x')), 0)
})
