/** The vCPU's thread of grant_pin.test.ts: makes a frame a page table and lets it go, again and again, until told to stop. */
import { parentPort, workerData } from 'node:worker_threads'
import { Domain } from './domain.ts'
import type { DomainDescription } from './machine_layout.ts'
import { TYPE_L1 } from './mm/page_info.ts'
import { testVcpu } from './testing.ts'

export interface RetypeJob {
	readonly description: DomainDescription
	readonly memory: WebAssembly.Memory
	readonly mfn: number
	/** Word 0: 1 to stop. Word 1: times the frame became a page table. Word 2: times it was refused. */
	readonly words: Int32Array
}

const { description, memory, mfn, words } = workerData as RetypeJob
const { types } = testVcpu(new Domain(description, memory)).mm
while (Atomics.load(words, 0) === 0) {
	if (types.getPageAndType(mfn, TYPE_L1) === 0) {
		Atomics.add(words, 1, 1)
		types.putPageAndType(mfn)
	} else Atomics.add(words, 2, 1)
}
parentPort?.postMessage('done')
