import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { CodeSnapshot } from '../../x86/translator/code_snapshot.ts'
import type { CompileReply, CompileRequest, RegionReply } from '../../x86/translator/compiler.ts'
import { CompileThread } from './compile_thread.ts'
import { loadCore } from './load_core.ts'
import { WorkerCompiler } from './region_compiler.ts'

/** add $1,%rax; dec %rcx; jnz to the start; ud2. */
const LOOP = Uint8Array.of(0x48, 0x83, 0xc0, 1, 0x48, 0xff, 0xc9, 0x75, 0xf7, 0x0f, 0x0b)
const TARGET = { memoryPages: 1040, state: 0x10_0000, tlbEntries: 2048, separate: false }

function snapshot(code: Uint8Array): CodeSnapshot {
	const bytes = new Uint8Array(4096)
	bytes.set(code, 0x20)
	return { entry: 0x20, pages: new Map([[0, { bytes, entries: [] }]]), options: {} }
}
const request = (id: number, code: Uint8Array): CompileRequest => ({
	id,
	snapshot: snapshot(code),
	target: TARGET,
	heat: 2,
	cachedOnly: false,
})

async function next(compiler: WorkerCompiler): Promise<CompileReply> {
	for (;;) {
		const reply = compiler.receive()
		if (reply !== undefined) return reply
		await setTimeout(1)
	}
}

/** Those that have come are handed out one by one. */
async function nextRegion(compiler: WorkerCompiler): Promise<RegionReply> {
	const reply = await next(compiler)
	if (reply.type === 'region') return reply
	assert.ok(reply.type === 'regions' && reply.replies.length === 1)
	return reply.replies[0]!
}

test('the compile worker answers with a region, makes it better when it is met again, and finds it in its cache next time', async () => {
	const cacheDirectory = mkdtempSync(join(tmpdir(), 'xenotype-compile-'))
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory })
	const lease = thread.lease()
	const compiler = new WorkerCompiler(lease.connection)
	compiler.request(request(7, LOOP))
	const first = await next(compiler)
	assert.ok(first.type === 'region' && first.region !== undefined && first.id === 7)
	assert.deepEqual([first.region.instructions, first.region.isOptimised, first.region.isCached], [3 + 1, false, false])
	compiler.improve(7, 0.25)
	const second = await next(compiler)
	assert.ok(second.type === 'optimised')
	assert.deepEqual(second.ids, [7])
	lease.release()
	await thread.close()

	const again = thread.lease()
	const other = new WorkerCompiler(again.connection)
	other.request(request(1, LOOP))
	const cached = await next(other)
	assert.ok(cached.type === 'region' && cached.region !== undefined)
	assert.deepEqual([cached.region.isCached, cached.region.isOptimised], [true, true])
	assert.deepEqual(
		other.cachedIn(snapshot(LOOP).pages.get(0)!.bytes).map(({ offset, pages }) => ({ offset, pages })),
		[{ offset: 0x20, pages: [0] }],
	)
	assert.deepEqual(other.cachedIn(new Uint8Array(4096)), [])
	again.release()
	await thread.close()
	rmSync(cacheDirectory, { recursive: true })
})

test('a region without loops is compiled well at once, and found in the cache next time', async () => {
	const cacheDirectory = mkdtempSync(join(tmpdir(), 'xenotype-compile-'))
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory })
	for (const isCached of [false, true]) {
		const lease = thread.lease()
		const compiler = new WorkerCompiler(lease.connection)
		// Its JNZ goes on behind itself.
		compiler.request(request(7, LOOP.with(8, 0)))
		const answer = await nextRegion(compiler)
		assert.ok(answer.region !== undefined && answer.id === 7)
		assert.deepEqual([answer.region.isOptimised, answer.region.isCached], [true, isCached])
		lease.release()
		await thread.close()
	}
	rmSync(cacheDirectory, { recursive: true })
})

test('regions without loops that wait are compiled together, and found in the cache next time', async () => {
	const cacheDirectory = mkdtempSync(join(tmpdir(), 'xenotype-compile-'))
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory })
	for (const isCached of [false, true]) {
		const lease = thread.lease()
		const compiler = new WorkerCompiler(lease.connection)
		const ids = Array.from({ length: 20 }, (_, n) => n + 1)
		for (const id of ids) compiler.request(request(id, LOOP.with(3, id).with(8, 0)))
		const places = new Map<WebAssembly.Module, number[]>()
		const answered: number[] = []
		while (answered.length < ids.length) {
			const reply = await next(compiler)
			for (const { id, region } of reply.type === 'regions' ? reply.replies : [reply as RegionReply]) {
				assert.ok(region?.isOptimised && region.isCached === isCached)
				answered.push(id)
				places.set(region.module, [...(places.get(region.module) ?? []), region.place])
			}
		}
		assert.deepEqual(
			answered.sort((a, b) => a - b),
			ids,
		)
		// Whatever arrived while others were compiled; the first ones may have been alone.
		if (!isCached) assert.ok(places.size < ids.length)
		if (!isCached) for (const of of places.values()) assert.equal(new Set(of).size, of.length)
		lease.release()
		await thread.close()
	}
	rmSync(cacheDirectory, { recursive: true })
})

test('what is worth most is made better first, and twice of nothing', async () => {
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory: undefined })
	const lease = thread.lease()
	const compiler = new WorkerCompiler(lease.connection)
	for (const id of [1, 2, 3]) compiler.request(request(id, LOOP.with(3, id)))
	for (let n = 0; n < 3; n++) assert.equal((await next(compiler)).type, 'region')
	// In an order that is right however many of them have arrived when the first is begun.
	for (const [id, worth] of [
		[1, 16],
		[2, 4],
		[3, 2],
		[2, 4],
		[3, 0.25],
	] as const)
		compiler.improve(id, worth)
	const better: number[] = []
	while (better.length < 3) {
		const reply = await next(compiler)
		assert.ok(reply.type === 'optimised')
		better.push(...reply.ids)
	}
	assert.deepEqual(better, [1, 2, 3])
	compiler.request(request(4, LOOP))
	const last = await nextRegion(compiler)
	assert.equal(last.id, 4)
	lease.release()
	await thread.close()
})

test('what nothing can be made of is answered with nothing, and the worker ends with the last lease', async () => {
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory: undefined })
	const [one, two] = [thread.lease(), thread.lease()]
	const compiler = new WorkerCompiler(two.connection)
	one.release()
	one.release()
	compiler.request(request(1, Uint8Array.of(0x06)))
	assert.deepEqual(await next(compiler), { type: 'region', id: 1, region: undefined })
	two.release()
	await thread.close()
})

test('a cache that cannot be written changes nothing', async () => {
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory: '/dev/null/regions' })
	const lease = thread.lease()
	const compiler = new WorkerCompiler(lease.connection)
	compiler.request(request(1, LOOP))
	const reply = await next(compiler)
	assert.ok(reply.type === 'region' && reply.region !== undefined)
	lease.release()
	await thread.close()
})

test('a fault in the compile worker is told, and the next vCPU has a new worker', async () => {
	const faults: Error[] = []
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory: undefined }, (error) => void faults.push(error))
	const lease = thread.lease()
	const broken = { ...request(1, LOOP), snapshot: { entry: 0, pages: undefined } } as unknown as CompileRequest
	lease.connection.port.postMessage({ type: 'request', request: broken })
	while (faults.length === 0) await setTimeout(1)
	const again = thread.lease()
	const compiler = new WorkerCompiler(again.connection)
	compiler.request(request(2, LOOP))
	const reply = await next(compiler)
	assert.ok(reply.type === 'region' && reply.region !== undefined && reply.id === 2)
	lease.release()
	again.release()
	await thread.close()
	assert.equal(faults.length, 1)
})

test('without the translation cache nothing is taken from disk or kept there', async () => {
	const cacheDirectory = mkdtempSync(join(tmpdir(), 'xenotype-compile-'))
	const thread = new CompileThread({ core: await loadCore(), cacheDirectory })
	for (const id of [1, 2]) {
		const lease = thread.lease({ cached: false })
		const compiler = new WorkerCompiler(lease.connection)
		compiler.request(request(id, LOOP))
		const reply = await next(compiler)
		assert.ok(reply.type === 'region' && reply.region !== undefined)
		assert.equal(reply.region.isCached, false)
		lease.release()
		await thread.close()
	}
	rmSync(cacheDirectory, { recursive: true })
})
