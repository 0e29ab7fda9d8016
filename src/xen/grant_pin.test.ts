import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { GTF_permit_access } from '../abi/grant_table.ts'
import { mapGrant, unmapGrant } from './grant_backend.ts'
import { grantReserved } from './grant_entries.ts'
import type { RetypeJob } from './grant_pin_stress_worker.ts'
import { PAGE_INFO_SIZE } from './machine_layout.ts'
import { PAGE_VALIDATED, PI_TYPE, PI_TYPE_COUNT, TYPE_L1, TYPE_MASK } from './mm/page_info.ts'
import { testDomain } from './testing.ts'

const MFN = 42
const LIMIT_ms = 30_000
const PINS = process.env.XENOTYPE_NIGHTLY ? 3_000_000 : 100_000

test('a frame is never a page table while a backend may write to it, whatever the two threads do', async () => {
	const domain = testDomain()
	const { u32 } = domain.machine
	grantReserved(domain, 0, 0, MFN)
	const words = new Int32Array(new SharedArrayBuffer(12))
	const job: RetypeJob = { description: domain.description, memory: domain.machine.memory, mfn: MFN, words }
	const worker = new Worker(new URL('./grant_pin_stress_worker.ts', import.meta.url), { workerData: job })
	const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
	while (Atomics.load(words, 1) === 0) await new Promise(setImmediate)

	const info = domain.at(domain.layout.pageInfo + MFN * PAGE_INFO_SIZE) >>> 2
	const isPageTable = () =>
		Atomics.load(u32, info + PI_TYPE_COUNT) !== 0 &&
		(Atomics.load(u32, info + PI_TYPE) & (TYPE_MASK | PAGE_VALIDATED)) === (TYPE_L1 | PAGE_VALIDATED)
	let pinned = 0
	// Until both have had their way: on a busy machine one of the threads may stand still for long.
	const deadline = Date.now() + LIMIT_ms
	const met = () => pinned > 0 && Atomics.load(words, 2) > 0
	for (let n = 0; n < PINS || (!met() && Date.now() < deadline); n++) {
		if (n % 10_000 === 0) await new Promise(setImmediate)
		const mapped = mapGrant(domain, 0, false)
		if (typeof mapped === 'number') continue
		pinned++
		for (let look = 0; look < 4; look++) assert.ok(!isPageTable(), `pin ${n}`)
		unmapGrant(domain, mapped)
	}
	Atomics.store(words, 0, 1)
	await ended
	const [, became, refused] = words as unknown as [number, number, number]
	assert.ok(pinned > 0 && became > 0 && refused > 0, `pinned ${pinned}, became a page table ${became}, was refused ${refused}`)
	assert.equal(u32[domain.machine.frameAddress(domain.layout.grantMfn) >>> 2], GTF_permit_access, 'nothing is reported any more')
})
