import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CompileQueue } from './compile_queue.ts'

const request = (id: number, heat: number) => ({ id, heat })
const drain = (queue: CompileQueue<string, { id: number; heat: number }>) => {
	const out: string[] = []
	for (let next = queue.take(); next !== undefined; next = queue.take()) out.push(`${next.client}${next.request.id}`)
	return out
}

test('the hottest request of a client goes first, and one that grows hotter overtakes', () => {
	const queue = new CompileQueue<string, { id: number; heat: number }>()
	queue.push('a', request(1, 2))
	queue.push('a', request(2, 5))
	queue.push('a', request(3, 3))
	queue.hotter('a', 1, 9)
	queue.hotter('a', 77, 9)
	assert.deepEqual(drain(queue), ['a1', 'a2', 'a3'])
})

test('clients take turns, however much one asks for', () => {
	const queue = new CompileQueue<string, { id: number; heat: number }>()
	for (let id = 1; id <= 4; id++) queue.push('a', request(id, 100 - id))
	queue.push('b', request(1, 1))
	queue.push('b', request(2, 1))
	assert.deepEqual(drain(queue), ['a1', 'b1', 'a2', 'b2', 'a3', 'a4'])
})

test('a client that is dropped gets nothing, and a request that is pushed twice is taken once', () => {
	const queue = new CompileQueue<string, { id: number; heat: number }>()
	queue.push('a', request(1, 1))
	queue.push('a', request(1, 4))
	queue.push('b', request(1, 1))
	assert.equal(queue.length, 2)
	queue.drop('b')
	assert.deepEqual(drain(queue), ['a1'])
})

test('a request that is cancelled is not taken, and takes no turn', () => {
	const queue = new CompileQueue<string, { id: number; heat: number }>()
	queue.push('a', request(1, 1))
	queue.push('b', request(1, 1))
	queue.push('b', request(2, 9))
	for (const id of [1, 1, 77]) queue.cancel('a', id)
	queue.cancel('b', 2)
	queue.cancel('c', 1)
	assert.deepEqual(drain(queue), ['b1'])
})
