import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { DomainEvent } from '../toolstack/lifecycle_events.ts'
import { EventHistory } from './event_history.ts'
import { streamEvents } from './event_stream.ts'

/** A history that begins at 100 and keeps three, and how to make the next event: one of a domain whose name is its number. */
function history() {
	let emit: (event: DomainEvent) => void = () => {}
	const source = {
		onEvent(listener: typeof emit) {
			emit = listener
			return () => {}
		},
	}
	return { history: new EventHistory(source, 100, 3), happen: (name: string) => emit({ type: 'defined', name }) }
}

/** What has come out: each line's type and number. */
function lines(out: PassThrough): string[] {
	const text = String(out.read() ?? '')
	return text.split('\n').flatMap((line) => {
		if (line === '') return []
		const { type, seq } = JSON.parse(line)
		return [`${type} ${seq}`]
	})
}

test('streamEvents() tells the number it begins at, then every event with its number', () => {
	const { history: kept, happen } = history()
	happen('before')
	const out = new PassThrough()
	streamEvents(kept, out)
	happen('a')
	happen('b')
	assert.deepEqual(lines(out), ['listening 101', 'defined 102', 'defined 103'])
})

test('streamEvents() with since gives what came after that number', () => {
	const { history: kept, happen } = history()
	for (const name of ['a', 'b', 'c']) happen(name)
	const out = new PassThrough()
	streamEvents(kept, out, 101)
	assert.deepEqual(lines(out), ['listening 101', 'defined 102', 'defined 103'])
})

test('streamEvents() says that events are lost: those that are kept no more, and those of another daemon', () => {
	const { history: kept, happen } = history()
	for (const name of ['a', 'b', 'c', 'd']) happen(name)
	for (const [since, ...expected] of [
		[100, 'lost 101', 'defined 102', 'defined 103', 'defined 104'],
		[7, 'lost 101', 'defined 102', 'defined 103', 'defined 104'],
		[105, 'lost 101', 'defined 102', 'defined 103', 'defined 104'],
		[101, 'defined 102', 'defined 103', 'defined 104'],
		[104],
	] as const) {
		const out = new PassThrough()
		streamEvents(kept, out, since)
		assert.deepEqual(lines(out), [`listening ${since}`, ...expected])
	}
})

test('a client that does not read holds no event, and is told what it has lost when it reads on', async () => {
	const { history: kept, happen } = history()
	const out = new PassThrough({ highWaterMark: 1 })
	streamEvents(kept, out)
	for (const name of ['a', 'b', 'c', 'd', 'e']) happen(name)
	const seen: string[] = []
	for (let turn = 0; turn < 20; turn++) {
		seen.push(...lines(out))
		await new Promise((resolve) => setImmediate(resolve))
	}
	assert.deepEqual(seen, ['listening 100', 'lost 102', 'defined 103', 'defined 104', 'defined 105'])
})

test('a client that is gone is not written to', async () => {
	const { history: kept, happen } = history()
	const out = new PassThrough()
	streamEvents(kept, out)
	out.destroy()
	await new Promise((resolve) => out.on('close', resolve))
	happen('a')
	assert.equal(out.writableEnded, false)
	assert.equal(out.errored, null)
})
