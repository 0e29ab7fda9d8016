import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleBackend } from '../pv/console/backend.ts'
import { ConsoleFrontend } from '../pv/console/frontend.ts'
import { ConsoleReading, Typists } from './console_reading.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

function setUp() {
	const page = new Uint8Array(new SharedArrayBuffer(4096))
	const backend = new ConsoleBackend({ page, notify: () => {} }, { history_bytes: 4096, input_bytes: 100 })
	const guest = new ConsoleFrontend({ page, notify: () => backend.onEvent() })
	const typists = new Typists()
	const session = (name: string) => {
		const told: (number | string)[] = []
		const reader = {
			output: () => true,
			lost: () => {},
			place: () => void told.push('place'),
			taken: (count: number) => void told.push(count),
			inputSpace: () => {},
			closed: () => {},
		}
		const reading = new ConsoleReading(backend, reader, 0, typists.of(backend, name))
		reading.resume()
		return { told, reading }
	}
	return { session, typed: () => new TextDecoder().decode(guest.read()) }
}

test('a typist is told what the guest has taken, before all else and whenever it is more', () => {
	const { session } = setUp()
	const { told, reading } = session('me')
	reading.write(bytes('abc'))
	reading.write(bytes('d'))
	assert.deepEqual(told, [0, 'place', 3, 4])
	assert.deepEqual(session('another').told, [0, 'place'])
})

test('the next session of a typist begins where the guest has come to, and the one before types no more', () => {
	const { session, typed } = setUp()
	const before = session('me')
	assert.equal(before.reading.write(bytes('x'.repeat(3000))), false)
	const taken = Number(before.told.at(-1))
	const next = session('me')
	assert.deepEqual(next.told, [taken, 'place'])
	before.reading.write(bytes('late'))
	let read = ''
	for (let more = typed(); more !== ''; more = typed()) read += more
	assert.equal(read, 'x'.repeat(taken))
	next.reading.write(bytes('y'.repeat(10)))
	assert.equal(typed(), 'y'.repeat(10))
	assert.deepEqual(next.told, [taken, 'place', taken + 10])
})
