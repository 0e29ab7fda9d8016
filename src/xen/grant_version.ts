/** Changes of the whole table: its size, its version, the order of its entries. Locking: see grant_entries.ts. */
import { XEN_EBUSY, XEN_EINVAL, XEN_ERANGE } from '../abi/errno.ts'
import * as G from '../abi/grant_table.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { Domain } from './domain.ts'
import {
	ACT_PIN,
	activeEntry,
	ENTRY_SIZE_V1,
	ENTRY_SIZE_V2,
	entrySize,
	GT_FRAMES,
	GT_STATUS_FRAMES,
	GT_VERSION,
	grantEntries,
	grantWord,
	setGrantWord,
	sharedEntry,
	statusFramesFor,
	statusWord,
	withGrants,
} from './grant_entries.ts'
import type { VcpuContext } from './vcpu.ts'

/** Makes the table have at least `frames` frames; false beyond the domain's limit. Grant lock held. */
export function growTable(domain: Domain, frames: number): boolean {
	if (frames > domain.description.maxGrantFrames) return false
	if (frames > grantWord(domain, GT_FRAMES)) setGrantWord(domain, GT_FRAMES, frames)
	if (grantWord(domain, GT_VERSION) === 2) setGrantWord(domain, GT_STATUS_FRAMES, statusFramesFor(grantWord(domain, GT_FRAMES)))
	return true
}

/** GNTTABOP_set_version. -EINVAL (no such version), -EBUSY (grants or status frames in use), -ERANGE (entries that version 1 cannot say). */
export function setVersion(vcpu: VcpuContext, version: number): number {
	const { domain } = vcpu
	if (version !== 1 && version !== 2) return -XEN_EINVAL
	if (version === grantWord(domain, GT_VERSION)) return 0
	return withGrants(domain, () => {
		const entries = grantEntries(domain)
		for (let ref = G.GNTTAB_NR_RESERVED_ENTRIES; ref < entries; ref++) {
			if (domain.machine.u32[activeEntry(domain, ref) + ACT_PIN] !== 0) return -XEN_EBUSY
		}
		return version === 2 ? toVersionTwo(domain) : toVersionOne(vcpu)
	})
}

/** A reserved entry as both versions can say it. */
interface ReservedEntry {
	/** flags and domid. */
	readonly header: number
	readonly frame: number
}

const STATUS_FLAGS = G.GTF_reading | G.GTF_writing
const V2_FRAME = G.grant_entry_v2_full_page.at.frame >> 2
const reservedRefs = Array.from({ length: G.GNTTAB_NR_RESERVED_ENTRIES }, (_, ref) => ref)

function clearFrames(domain: Domain): void {
	const first = domain.machine.frameAddress(domain.layout.grantMfn)
	domain.machine.u8.fill(0, first, first + grantWord(domain, GT_FRAMES) * PAGE_SIZE)
}

function toVersionTwo(domain: Domain): number {
	const { u32, u16, u8 } = domain.machine
	const kept = reservedRefs.map((ref): ReservedEntry => {
		const entry = sharedEntry(domain, ref)
		return { header: u32[entry] as number, frame: u32[entry + 1] as number }
	})
	clearFrames(domain)
	setGrantWord(domain, GT_VERSION, 2)
	setGrantWord(domain, GT_STATUS_FRAMES, statusFramesFor(grantWord(domain, GT_FRAMES)))
	const status = domain.machine.frameAddress(domain.layout.grantStatusMfn)
	u8.fill(0, status, status + grantWord(domain, GT_STATUS_FRAMES) * PAGE_SIZE)
	for (const [ref, { header, frame }] of kept.entries()) {
		const entry = sharedEntry(domain, ref)
		u16[statusWord(domain, ref)] = header & STATUS_FLAGS
		u32[entry + V2_FRAME] = frame
		u32[entry] = header & ~STATUS_FLAGS
	}
	return 0
}

function toVersionOne(vcpu: VcpuContext): number {
	const { domain } = vcpu
	const { u32, u16 } = domain.machine
	const kept: ReservedEntry[] = []
	for (const ref of reservedRefs) {
		const entry = sharedEntry(domain, ref)
		const header = u32[entry] as number
		const type = header & G.GTF_type_mask
		if (type === G.GTF_transitive || (type === G.GTF_permit_access && u32[entry + V2_FRAME + 1] !== 0)) return -XEN_ERANGE
		if (type !== G.GTF_permit_access) kept.push({ header: 0, frame: 0 })
		else kept.push({ header: header | (u16[statusWord(domain, ref)] as number), frame: u32[entry + V2_FRAME] as number })
	}
	if (statusFramesMapped(vcpu)) return -XEN_EBUSY
	clearFrames(domain)
	setGrantWord(domain, GT_VERSION, 1)
	setGrantWord(domain, GT_STATUS_FRAMES, 0)
	for (const [ref, { header, frame }] of kept.entries()) {
		const entry = sharedEntry(domain, ref)
		u32[entry + 1] = frame
		u32[entry] = header
	}
	return 0
}

/** Whether the guest still maps a status frame. */
function statusFramesMapped(vcpu: VcpuContext): boolean {
	const { layout } = vcpu.domain
	const frames = grantWord(vcpu.domain, GT_STATUS_FRAMES)
	for (let n = 0; n < frames; n++) if (vcpu.mm.types.count(layout.grantStatusMfn + n) > 1) return true
	return false
}

/** GNTTABOP_swap_grant_ref: GNTST_bad_gntref, GNTST_eagain (in use). */
export function swapEntries(domain: Domain, one: number, other: number): number {
	return withGrants(domain, () => {
		const entries = grantEntries(domain)
		if (one >= entries || other >= entries) return G.GNTST_bad_gntref
		if (one === other) return G.GNTST_okay
		const { u32, u16 } = domain.machine
		if (u32[activeEntry(domain, one) + ACT_PIN] !== 0 || u32[activeEntry(domain, other) + ACT_PIN] !== 0) return G.GNTST_eagain
		const words = entrySize(domain) / 4
		swap(u32, sharedEntry(domain, one), sharedEntry(domain, other), words)
		if (grantWord(domain, GT_VERSION) === 2) swap(u16, statusWord(domain, one), statusWord(domain, other), 1)
		return G.GNTST_okay
	})
}

function swap(words: Uint32Array | Uint16Array, one: number, other: number, count: number): void {
	const copy = words.slice(one, one + count)
	words.copyWithin(one, other, other + count)
	words.set(copy, other)
}

if (G.grant_entry_v1.size !== ENTRY_SIZE_V1 || G.grant_entry_v2_full_page.size !== ENTRY_SIZE_V2) throw new Error('grant entry layout')
