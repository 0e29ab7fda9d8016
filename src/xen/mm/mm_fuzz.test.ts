import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as M from '../../abi/memory.ts'
import * as X from '../../abi/xen.ts'
import { ACCESS_READ, ACCESS_WRITE } from '../../x86/core/layout.ts'
import { setGdtHypercall, updateDescriptorHypercall } from './descriptors.ts'
import { memoryOpHypercall } from './memory_op.ts'
import { checkMemory } from './mm_check.ts'
import { ARGS_VA, DIRECT_MAP, Fixture, READ_ONLY, TABLE } from './mm_fixture.ts'
import { mmuUpdateHypercall } from './mmu_update.ts'
import { mmuextOpHypercall } from './mmuext_op.ts'
import { PAGE_OWNED, TYPE_L1, TYPE_L4, TYPE_SEG_DESC } from './page_info.ts'
import { PTE_PRESENT, PTE_RW, PTE_USER } from './page_tables.ts'
import { updateVaMappingHypercall, updateVaMappingOtherdomainHypercall } from './update_va_mapping.ts'
import { writePageTable } from './writable_pagetables.ts'

const NIGHTLY = process.env.XENOTYPE_NIGHTLY === '1'
const STEPS = NIGHTLY ? 1_000_000 : 20_000
const STEPS_PER_DOMAIN = 2_000
const SEED = Number(process.env.XENOTYPE_SEED ?? (NIGHTLY ? Date.now() % 2 ** 31 : 20))

const FRAMES = 40
const INITIAL = 32

/** xorshift32. */
class Random {
	#state: number
	constructor(seed: number) {
		this.#state = seed | 0 || 1
	}
	next(): number {
		this.#state ^= this.#state << 13
		this.#state ^= this.#state >>> 17
		this.#state ^= this.#state << 5
		return this.#state >>> 0
	}
	below(limit: number): number {
		return this.next() % limit
	}
	chance(percent: number): boolean {
		return this.below(100) < percent
	}
	pick<T>(list: readonly T[]): T {
		return list[this.below(list.length)]
	}
}

/** A guest that does its worst: page tables under construction, wild entries, every hypercall of memory management. */
class Attack {
	readonly f = new Fixture(FRAMES, INITIAL)
	readonly #r: Random
	/** Hypercalls that succeeded, by name: so that a fuzzer that achieves nothing is noticed. */
	readonly achieved: Map<string, number>

	constructor(random: Random, achieved: Map<string, number>) {
		this.#r = random
		this.achieved = achieved
	}

	step(): void {
		const r = this.#r
		r.pick([
			() => this.#mmuUpdate(),
			() => this.#mmuUpdate(),
			() => this.#mmuext(),
			() => this.#mmuext(),
			() => this.#updateVaMapping(),
			() => this.#updateVaMapping(),
			() => this.#reservation(),
			() => this.#exchange(),
			() => this.#descriptors(),
			() => this.#store(),
			() => this.#protectedWrite(),
			() => this.#plantTable(this.#mfn(0), 1 + r.below(4)),
			() => this.#retype(),
			() => this.#retype(),
			() => this.#touch(),
		])()
	}

	#note(name: string, ok: boolean): void {
		if (ok) this.achieved.set(name, (this.achieved.get(name) ?? 0) + 1)
	}

	// ---- ingredients ----------------------------------------------------------------------------------------------------------------

	/** A frame number: mostly the guest's, sometimes of a wanted type, sometimes wild. */
	#mfn(type = -1): number {
		const r = this.#r
		if (type >= 0 && r.chance(70)) {
			const first = r.below(FRAMES)
			for (let n = 0; n < FRAMES; n++) if (this.f.types.type((first + n) % FRAMES) === type) return (first + n) % FRAMES
		}
		if (r.chance(95)) return r.below(FRAMES)
		return r.pick([r.below(this.f.types.frames + 2), r.next() & 0xf_ffff, 0xf_ffff])
	}

	/** An entry for a table of `level`. */
	#entry(level: number): [lo: number, hi: number] {
		const r = this.#r
		if (r.chance(25)) return r.chance(70) ? [0, 0] : [r.next() & ~PTE_PRESENT, r.next()]
		const flags =
			PTE_PRESENT | (r.chance(45) ? PTE_RW : 0) | (r.chance(80) ? PTE_USER : 0) | (r.chance(5) ? r.next() & 0xfff : r.next() & 0xe60)
		const hi = r.chance(3) ? r.next() : r.next() & 0xfff0_0000
		return [((this.#mfn(level > 1 ? level - 1 : -1) << 12) | flags) >>> 0, hi >>> 0]
	}

	/** An index in a table: few values, so that entries are replaced and shared. */
	#index(): number {
		return this.#r.chance(80) ? this.#r.below(48) : this.#r.pick([255, 256, 257, 271, 272, 272, 272, 511])
	}

	#va(): number {
		const r = this.#r
		if (r.chance(90)) return DIRECT_MAP + r.below(64) * 4096 + r.below(512) * 8
		return r.pick([ARGS_VA, 0, -8, -(2 ** 47), -(2 ** 47) + 0x1000, 2 ** 47, r.next() * 4096, DIRECT_MAP + r.next() * 512])
	}

	/** Runs a hypercall to its end, however often it stops for other work. */
	#call(name: string, handler: Parameters<Fixture['call']>[0], ...values: (number | readonly [number, number])[]): void {
		this.f.vcpu.timers.nextDeadline_ns = this.#r.chance(5) ? 0 : Number.POSITIVE_INFINITY
		const result = this.f.call(handler, ...values)
		assert.ok(Number.isInteger(result), `${name} returned ${result}`)
		this.#note(name, result >= 0)
	}

	#foreigndom(): number {
		return this.#r.chance(95) ? X.DOMID_SELF : this.#r.pick([X.DOMID_IO, 0, 3, 7, 0x8_7ff0, this.#r.next()])
	}

	// ---- what the guest does --------------------------------------------------------------------------------------------------------

	#mmuUpdate(): void {
		const r = this.#r
		const count = 1 + r.below(4)
		const words: number[] = []
		for (let n = 0; n < count; n++) {
			const level = r.below(5)
			const [lo, hi] = this.#entry(level)
			words.push(this.#mfn(level) * 4096 + this.#index() * 8 + (r.chance(85) ? 0 : r.below(8)), r.chance(1) ? r.next() : 0, lo, hi)
		}
		this.#call('mmu_update', mmuUpdateHypercall.handler, this.f.args(words), count, r.chance(50) ? ARGS_VA + 2048 : 0, this.#foreigndom())
	}

	#mmuext(): void {
		const r = this.#r
		const count = 1 + r.below(3)
		const words: number[] = []
		for (let n = 0; n < count; n++) {
			const cmd = r.chance(50) ? r.pick([0, 1, 2, 3, 4, 4, 4, 5, 15]) : r.below(22)
			const type = cmd <= X.MMUEXT_PIN_L4_TABLE ? cmd + 1 : cmd === X.MMUEXT_UNPIN_TABLE ? 1 + r.below(4) : TYPE_L4
			const address = cmd >= X.MMUEXT_TLB_FLUSH_LOCAL && cmd <= X.MMUEXT_SET_LDT
			const arg1 = address ? this.#va() : this.#mfn(type)
			words.push(cmd, 0, arg1, Math.floor(arg1 / 4294967296), r.chance(50) ? this.#mfn() : ARGS_VA, 0)
		}
		this.#call('mmuext_op', mmuextOpHypercall.handler, this.f.args(words), count, r.chance(50) ? ARGS_VA + 2048 : 0, this.#foreigndom())
	}

	#updateVaMapping(): void {
		const r = this.#r
		const flags = r.chance(90) ? r.below(8) : ARGS_VA + r.below(4)
		if (r.chance(90)) this.#call('update_va_mapping', updateVaMappingHypercall.handler, this.#va(), this.#entry(1), flags)
		else this.#call('otherdomain', updateVaMappingOtherdomainHypercall.handler, this.#va(), this.#entry(1), flags, this.#foreigndom())
	}

	#reservation(): void {
		const r = this.#r
		const count = r.below(4)
		const list: number[] = []
		for (let n = 0; n < count; n++) list.push(r.chance(90) ? this.#mfn() : r.next(), r.chance(2) ? r.next() : 0)
		this.f.args(list, 512)
		const order = r.chance(90) ? r.below(3) : r.below(12)
		const start = r.chance(95) ? ARGS_VA + 512 : r.pick([0, 8, DIRECT_MAP % 2 ** 32])
		const arg = this.f.args([
			start,
			0,
			count,
			r.chance(1) ? 1 : 0,
			order,
			r.chance(90) ? 0 : r.next(),
			r.chance(95) ? X.DOMID_SELF : r.next(),
			0,
		])
		const command = r.pick([M.XENMEM_increase_reservation, M.XENMEM_decrease_reservation, M.XENMEM_populate_physmap])
		const before = this.f.types.currentFrames
		this.#call('reservation', memoryOpHypercall.handler, r.chance(98) ? command : r.next(), arg)
		this.#note('frames changed', this.f.types.currentFrames !== before)
	}

	#exchange(): void {
		const r = this.#r
		const [inOrder, outOrder] = [r.below(3), r.below(3)]
		const [inputs, outputs] = [2 ** Math.max(0, outOrder - inOrder), 2 ** Math.max(0, inOrder - outOrder)]
		const list = (count: number) => Array.from({ length: count }, () => [this.#mfn(0), 0]).flat()
		this.f.args(list(inputs), 512)
		this.f.args(list(outputs), 1024)
		const dom = X.DOMID_SELF
		const words = [ARGS_VA + 512, 0, inputs, 0, inOrder, 0, dom, 0, ARGS_VA + 1024, 0, outputs, 0, outOrder, 0, dom, 0, 0, 0]
		if (r.chance(5)) words[r.below(words.length)] = r.next()
		this.#call('exchange', memoryOpHypercall.handler, M.XENMEM_exchange, this.f.args(words))
	}

	#descriptors(): void {
		const r = this.#r
		if (r.chance(50)) {
			const pages = 1 + r.below(2)
			const frames = Array.from({ length: pages }, () => [this.#mfn(TYPE_SEG_DESC), 0]).flat()
			this.#call('set_gdt', setGdtHypercall.handler, this.f.args(frames), r.chance(30) ? 0 : pages * 512 - r.below(20))
		} else {
			const address = this.#mfn(TYPE_SEG_DESC) * 4096 + r.below(512) * 8
			this.#call('update_descriptor', updateDescriptorHypercall.handler, address, [r.next(), r.chance(50) ? r.next() : 0x00cf_fb00])
		}
	}

	/** A store of any size to anywhere: to memory, to a descriptor, through the write-protect trap. */
	#store(): void {
		const size = this.#r.pick([1, 2, 4, 8])
		const [lo, hi] = this.#entry(1)
		this.#note('store', this.f.store(this.#va() + (this.#r.chance(30) ? this.#r.below(8) : 0), size, lo, hi))
	}

	#protectedWrite(): void {
		const r = this.#r
		const [lo, hi] = this.#entry(1)
		const maddr = this.#mfn(TYPE_L1) * 4096 + this.#index() * 8 + (r.chance(30) ? r.below(8) : 0)
		this.#note('protected write', writePageTable(this.f.vcpu, maddr >>> 0, r.pick([1, 2, 4, 8]), lo, hi))
	}

	/** Prepares a table in memory that nothing maps writable, as a kernel does before it pins one. */
	#plantTable(mfn: number, level: number): void {
		const { f } = this
		if (mfn >= FRAMES || !f.types.isOwned(mfn) || f.types.typeCount(mfn) !== 0) return
		// Stays checked without references, until a writable mapping gives it another type.
		if (f.types.type(mfn) === TYPE_SEG_DESC) return
		f.types.zero(mfn)
		for (let n = this.#r.below(6); n > 0; n--) {
			const [lo, hi] = this.#entry(level)
			const at = f.word(mfn, this.#index())
			f.domain.machine.u32[at] = lo
			f.domain.machine.u32[at + 1] = hi
		}
	}

	/** The life of a page table, with no flush of the guest's own: written as memory, taken out of the map, pinned, perhaps unpinned. */
	#retype(): void {
		const r = this.#r
		const mfn = r.below(FRAMES)
		const level = 1 + r.below(4)
		const va = DIRECT_MAP + mfn * 4096
		this.#call('update_va_mapping', updateVaMappingHypercall.handler, va, [(mfn << 12) | TABLE, 0], 0)
		this.f.store(va, 8, 0)
		this.#call('update_va_mapping', updateVaMappingHypercall.handler, va, r.chance(50) ? [0, 0] : [(mfn << 12) | READ_ONLY, 0], 0)
		this.#plantTable(mfn, level)
		const pinned = [level - 1, 0, mfn, 0, 0, 0]
		const unpinned = [X.MMUEXT_UNPIN_TABLE, 0, mfn, 0, 0, 0]
		const rc = this.f.call(mmuextOpHypercall.handler, this.f.args([...pinned, ...unpinned]), r.chance(50) ? 1 : 2, 0, X.DOMID_SELF)
		this.#note(`pin L${level}`, rc === 0)
	}

	#touch(): void {
		this.f.translate(this.#va(), this.#r.chance(50) ? ACCESS_WRITE : ACCESS_READ)
	}

	// ---- what must hold whatever it does --------------------------------------------------------------------------------------------

	check(): void {
		const { f } = this
		const problems = checkMemory([f.vcpu])
		for (const [page, entry] of f.tlb) {
			const type = f.types.type(entry.mfn)
			const inUse = f.types.typeCount(entry.mfn) !== 0
			const isHypervisors = entry.mfn >= FRAMES && (f.types.flags(entry.mfn) & PAGE_OWNED) === 0
			if (entry.mfn < FRAMES && f.types.isFree(entry.mfn)) problems.push(`the TLB maps free frame ${entry.mfn} at page ${page}`)
			if (!entry.writable) continue
			if (inUse && type <= TYPE_SEG_DESC) problems.push(`the TLB maps frame ${entry.mfn} of type ${type} writable at page ${page}`)
			if (isHypervisors) problems.push(`the TLB maps hypervisor frame ${entry.mfn} writable at page ${page}`)
		}
		assert.deepEqual(problems, [])
	}
}

test(`no sequence of memory management hypercalls breaks the rules of page_info.ts (seed ${SEED}, ${STEPS} steps)`, (t) => {
	const random = new Random(SEED)
	const achieved = new Map<string, number>()
	let attack = new Attack(random, achieved)
	for (let step = 0; step < STEPS; step++) {
		if (step % STEPS_PER_DOMAIN === 0) attack = new Attack(random, achieved)
		try {
			attack.step()
			attack.check()
		} catch (error) {
			throw new Error(`seed ${SEED}, step ${step}`, { cause: error })
		}
	}
	t.diagnostic(`seed ${SEED}: ${JSON.stringify(Object.fromEntries(achieved))}`)
	for (const name of [
		'mmu_update',
		'mmuext_op',
		'update_va_mapping',
		'frames changed',
		'exchange',
		'set_gdt',
		'update_descriptor',
		'store',
		'protected write',
	])
		assert.ok((achieved.get(name) ?? 0) > STEPS / 2000, `the fuzzer hardly gets through with ${name}: ${achieved.get(name)}`)
})
