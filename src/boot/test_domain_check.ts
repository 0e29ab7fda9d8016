import assert from 'node:assert/strict'
import { type MachineMemory, PAGE_SIZE } from '../x86/machine_memory.ts'
import type { BuiltDomain } from './domain_builder.ts'

interface Translation {
	readonly pfn: number
	readonly writable: boolean
}

/** Walks the domain's own tables, as the processor does. Null where nothing is mapped. */
function translate(machine: MachineMemory, l4: number, va: number): Translation | null {
	let table = l4
	let writable = true
	for (let level = 3; level >= 0; level--) {
		const index = Number((BigInt(va) >> BigInt(12 + 9 * level)) & 511n)
		const entry = machine.u64[(machine.frameAddress(table) + index * 8) / 8]!
		if ((entry & 1n) === 0n) return null
		writable &&= (entry & 2n) !== 0n
		table = Number((entry >> 12n) & 0xffffffffffn)
	}
	return { pfn: table, writable }
}

/** For tests: asserts what holds for every domain however it was laid out. */
export function checkDomain(machine: MachineMemory, domain: BuiltDomain): void {
	const { layout, l4Mfn } = domain
	const tables = new Set(domain.pageTableMfns)
	const at = (va: number) => translate(machine, l4Mfn, va)
	for (let pfn = 0; pfn < layout.mappedPages; pfn++) {
		const found = at(domain.image.virtBase + pfn * PAGE_SIZE)
		assert.deepEqual(found, { pfn, writable: !tables.has(pfn) }, `pfn 0x${pfn.toString(16)}`)
	}
	assert.equal(at(domain.image.virtBase + layout.mappedPages * PAGE_SIZE), null, 'nothing beyond the initial mapping')
	assert.equal((layout.mappedPages * PAGE_SIZE) % (4 << 20), 0)
	assert.ok(layout.mappedPages - layout.bootStack > 128, 'at least 512 KiB follow the boot stack')
	for (let slot = 256; slot < 272; slot++)
		assert.equal(machine.u64[machine.frameAddress(l4Mfn) / 8 + slot], 0n, `L4 slot ${slot} is the hypervisor's`)
	for (let pfn = 0; pfn < domain.nrPages; pfn += 97) {
		const page = at(layout.p2mVa + Math.floor((pfn * 8) / PAGE_SIZE) * PAGE_SIZE)
		assert.ok(page?.writable, `P2M entry of pfn ${pfn} is mapped`)
		assert.equal(machine.u64[(machine.frameAddress(page.pfn) + ((pfn * 8) % PAGE_SIZE)) / 8], BigInt(pfn))
	}
	assert.equal(at(domain.startInfoVa)?.pfn, domain.startInfoMfn)
	assert.equal(at(domain.stackPointer - 8)?.pfn, layout.bootStack)
	assert.ok(at(domain.entry) !== null)
}
