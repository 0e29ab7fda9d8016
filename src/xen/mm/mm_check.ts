/**
 * Recounts everything that page info claims, from the page tables in use, pins, base pointers and GDTs, and compares. For tests and
 * for diagnosis of a stopped domain.
 */
import { FIRST_RESERVED_GDT_PAGE } from '../../abi/xen.ts'
import { FRAME_ABSENT, FRAME_HOOK } from '../../x86/core/layout.ts'
import type { VcpuContext } from '../vcpu.ts'
import { checkDescriptors, DESCRIPTORS } from './descriptor_check.ts'
import { gdtFrame } from './descriptors.ts'
import {
	PAGE_ALLOCATED,
	PAGE_OWNED,
	PAGE_PINNED,
	PAGE_SPECIAL,
	PAGE_VALIDATED,
	PI_TYPE,
	TYPE_L1,
	TYPE_L4,
	TYPE_NONE,
	TYPE_SEG_DESC,
	TYPE_WRITABLE,
} from './page_info.ts'
import { ENTRIES, L1_DISALLOWED, PTE_PRESENT, PTE_RW, PTE_USER, UPPER_DISALLOWED } from './page_tables.ts'
import { isXenSlot, type PageTypes } from './page_types.ts'

/** Every way in which the domain's memory is not as page_info.ts says, in words; empty when all is well. */
export function checkMemory(vcpus: readonly VcpuContext[]): string[] {
	const { types } = vcpus[0].mm
	const recount = new Recount(types)
	for (let mfn = 0; mfn < types.frames; mfn++) recount.frame(mfn)
	for (const vcpu of vcpus) recount.vcpu(vcpu)
	for (let mfn = 0; mfn < types.frames; mfn++) recount.compare(mfn)
	if (recount.owned !== types.currentFrames) recount.problems.push(`${recount.owned} frames owned, ${types.currentFrames} counted`)
	return recount.problems
}

class Recount {
	readonly problems: string[] = []
	owned = 0
	readonly #types: PageTypes
	readonly #counts: Uint32Array
	/** References by type, at mfn * 8 + type. */
	readonly #typeCounts: Uint32Array

	constructor(types: PageTypes) {
		this.#types = types
		this.#counts = new Uint32Array(types.frames)
		this.#typeCounts = new Uint32Array(types.frames * 8)
	}

	/** What the frame itself holds: its allocation, its pin, its entries. */
	frame(mfn: number): void {
		const types = this.#types
		const flags = types.flags(mfn)
		if (flags & PAGE_ALLOCATED) this.#counts[mfn]++
		if (flags & PAGE_SPECIAL) this.#typeCounts[mfn * 8 + TYPE_WRITABLE]++
		if ((flags & (PAGE_OWNED | PAGE_SPECIAL)) === PAGE_OWNED) this.owned++
		if (types.u32[types.at(mfn) + PI_TYPE] & PAGE_PINNED) this.#refer(mfn, types.type(mfn), `pin of ${mfn}`)
		if (types.typeCount(mfn) === 0) return
		const type = types.type(mfn)
		if (type >= TYPE_L1 && type <= TYPE_L4) this.#entries(mfn, type)
		if (type === TYPE_SEG_DESC) this.#descriptors(mfn)
	}

	#entries(table: number, level: number): void {
		const { u32 } = this.#types
		for (let n = 0; n < ENTRIES; n++) {
			const at = this.#types.words(table) + n * 2
			const lo = u32[at]
			if ((lo & PTE_PRESENT) === 0 || isXenSlot(level, n)) continue
			const name = `L${level} ${table}[${n}]`
			if (lo & (level === TYPE_L1 ? L1_DISALLOWED : UPPER_DISALLOWED)) this.problems.push(`${name} has flags that are not allowed`)
			if (u32[at + 1] & 0xf_ffff) this.problems.push(`${name} names a frame above 4 GiB`)
			if ((lo & PTE_USER) === 0) this.problems.push(`${name} is not a user mapping`)
			const type = level > TYPE_L1 ? level - 1 : lo & PTE_RW ? TYPE_WRITABLE : TYPE_NONE
			this.#refer(lo >>> 12, type, name)
		}
	}

	#descriptors(mfn: number): void {
		const page = this.#types.u32.slice(this.#types.words(mfn), this.#types.words(mfn) + DESCRIPTORS * 2)
		if (!checkDescriptors(page, 0)) this.problems.push(`descriptor page ${mfn} has a descriptor that is not allowed`)
	}

	vcpu(vcpu: VcpuContext): void {
		const { kernelRoot, userRoot } = vcpu.mm
		if (kernelRoot !== 0) this.#refer(kernelRoot, TYPE_L4, `kernel root of vCPU ${vcpu.index}`)
		if (userRoot !== 0) this.#refer(userRoot, TYPE_L4, `user root of vCPU ${vcpu.index}`)
		for (let n = 0; n < FIRST_RESERVED_GDT_PAGE; n++) {
			const mfn = gdtFrame(vcpu, n)
			if (mfn >= 0) this.#refer(mfn, TYPE_SEG_DESC, `GDT page ${n} of vCPU ${vcpu.index}`)
		}
	}

	#refer(mfn: number, type: number, who: string): void {
		if (!this.#types.isOwned(mfn)) {
			this.problems.push(`${who} refers to frame ${mfn}, which is not the guest's`)
			return
		}
		this.#counts[mfn]++
		if (type !== TYPE_NONE) this.#typeCounts[mfn * 8 + type]++
	}

	/** The frame's page info against the recount. */
	compare(mfn: number): void {
		const types = this.#types
		const say = (what: string) => this.problems.push(`frame ${mfn}: ${what}`)
		const type = types.type(mfn)
		if (types.count(mfn) !== this.#counts[mfn]) say(`general count ${types.count(mfn)}, recounted ${this.#counts[mfn]}`)
		for (let t = TYPE_L1; t <= TYPE_WRITABLE; t++) {
			const expected = t === type ? types.typeCount(mfn) : 0
			const found = this.#typeCounts[mfn * 8 + t]
			if (found !== expected) say(`${expected} references of type ${t}, recounted ${found}`)
		}
		const inUse = types.typeCount(mfn) !== 0
		if (inUse && (types.u32[types.at(mfn) + PI_TYPE] & PAGE_VALIDATED) === 0) say(`in use as type ${type}, not validated`)
		const attributes = types.machine.u8[types.machine.attributeAddress(mfn)]
		const isTable = inUse && type >= TYPE_L1 && type <= TYPE_L4
		if (((attributes & FRAME_HOOK) !== 0) !== isTable) say(`FRAME_HOOK is ${attributes & FRAME_HOOK ? 'set' : 'clear'}, type ${type}`)
		if (mfn >= types.ramFrames) return
		const owned = (types.flags(mfn) & PAGE_OWNED) !== 0
		if (((attributes & FRAME_ABSENT) === 0) !== owned) say(owned ? 'owned, but absent' : 'free, but not absent')
		if (owned !== (types.count(mfn) !== 0)) say(owned ? 'owned without a reference' : 'referred to, but not owned')
	}
}
