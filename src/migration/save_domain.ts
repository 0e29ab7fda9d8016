import { XEN_DOMCTL_PFINFO_XALLOC } from '../abi/domctl.ts'
import { cpu_user_regs, shared_info, vcpu_guest_context } from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { cpuid } from '../xen/cpuid.ts'
import type { Domain } from '../xen/domain.ts'
import { TSC_KHZ } from '../xen/time.ts'
import * as R from './records.ts'
import { canonicalise, SavedFrames } from './saved_frames.ts'
import { viewOf } from './stream_reader.ts'
import { Bytes, fileEnd, fileHeader, record, streamHeader } from './stream_writer.ts'

/** What a domain's vCPU was in when it was suspended. */
export interface SavedVcpu {
	/** struct vcpu_guest_context, frames being MFNs. */
	readonly basic: Uint8Array
	/** struct xen_domctl_ext_vcpucontext. */
	readonly extended: Uint8Array
}

const NO_SUBLEAF = 0xffff_ffff
/** Leaves that have subleaves, of which the first is given. */
const LEAVES_WITH_SUBLEAVES = new Set([4, 7, 0xb, 0xd])
const MSR_INTEL_PLATFORM_INFO = 0xce
const MSR_ARCH_CAPABILITIES = 0x10a
const GDT_PAGES = 14

/**
 * The file of a domain that is suspended, piece by piece, in order; each piece may be reused for the next. Throws CannotSave where the guest has left things that a
 * stream has no words for. `config` is libxl's JSON of it.
 */
export function* savedDomain(domain: Domain, vcpu: SavedVcpu, config: string, systemTime_ns: number): Generator<Uint8Array> {
	const frames = new SavedFrames(domain)
	const context = savedContext(vcpu.basic, frames)
	const p2m = frames.p2m()
	yield fileHeader(config)
	yield streamHeader()
	yield record(R.REC_X86_PV_INFO, new Bytes(8).u8(8).u8(4).bytes)
	yield record(R.REC_X86_CPUID_POLICY, cpuidPolicy())
	yield record(R.REC_X86_MSR_POLICY, msrPolicy())
	yield record(R.REC_STATIC_DATA_END)
	yield record(R.REC_X86_PV_P2M_FRAMES, p2mFrames(p2m))
	yield* pageData(domain, frames)
	yield record(R.REC_X86_TSC_INFO, new Bytes(24).u32(0).u32(TSC_KHZ).u64(systemTime_ns).u32(0).u32(0).bytes)
	yield record(R.REC_SHARED_INFO, savedSharedInfo(domain))
	yield record(R.REC_X86_PV_VCPU_BASIC, ofVcpu0(context))
	yield record(R.REC_X86_PV_VCPU_EXTENDED, ofVcpu0(vcpu.extended))
	yield record(R.REC_END)
	yield fileEnd()
}

function ofVcpu0(body: Uint8Array): Uint8Array {
	return new Bytes(8 + body.length).u64(0).put(body).bytes
}

/** The context with PFNs for frames: of the start_info page, which the guest has named in RDX, of the GDT, and of the base pointers. */
function savedContext(live: Uint8Array, frames: SavedFrames): Uint8Array {
	const bytes = live.slice()
	const view = viewOf(bytes)
	const { at } = vcpu_guest_context
	const replace = (offset: number, what: string, shift = 0n) => {
		const value = view.getBigUint64(offset, true) >> shift
		const mfn = value > 0xffff_ffffn ? 0xffff_ffff : Number(value)
		view.setBigUint64(offset, BigInt(frames.pfn(mfn, what)) << shift, true)
	}
	replace(at.user_regs + cpu_user_regs.at.rdx, 'the start_info that it has named')
	const gdtPages = Math.min(Math.ceil(Number(view.getBigUint64(at.gdt_ents, true)) / 512), GDT_PAGES)
	for (let n = 0; n < gdtPages; n++) replace(at.gdt_frames + n * 8, 'a page of its GDT')
	replace(at.ctrlreg + 3 * 8, "its kernel's base pointer", 12n)
	const user = at.ctrlreg + 1 * 8
	if (view.getBigUint64(user, true) !== 0n) {
		replace(user, "its user's base pointer", 12n)
		// Says that there is one, as frame 0 may be it.
		view.setBigUint64(user, view.getBigUint64(user, true) | 1n, true)
	}
	return bytes
}

function savedSharedInfo({ machine, layout }: Domain): Uint8Array {
	const page = machine.framePage(layout.sharedInfoMfn).slice()
	if (page.length < shared_info.size) throw new Error('struct shared_info')
	return page
}

function p2mFrames({ entries, pages }: { readonly entries: number; readonly pages: readonly number[] }): Uint8Array {
	const body = new Bytes(8 + pages.length * 8).u32(0).u32(entries - 1)
	for (const pfn of pages) body.u64(pfn)
	return body.bytes
}

/** Pages of zeroes are told of and not sent: who restores them has pages of zeroes to start with. */
function* pageData({ machine }: Domain, frames: SavedFrames): Generator<Uint8Array> {
	const pages = new Uint8Array(R.BATCH_PAGES * PAGE_SIZE)
	for (let first = 0; first < frames.pfns.length; first += R.BATCH_PAGES) {
		const batch = frames.pfns.subarray(first, first + R.BATCH_PAGES)
		const head = new Bytes(R.RECORD_HEADER_SIZE + 8 + batch.length * 8)
		head.u32(R.REC_PAGE_DATA).u32(0).u32(batch.length).u32(0)
		let sent = 0
		for (const pfn of batch) {
			const mfn = frames.mfns[pfn] as number
			const type = frames.tableType(mfn)
			const isEmpty = type === 0 && isZero(machine.u64, machine.frameAddress(mfn))
			head.u64((BigInt(isEmpty ? XEN_DOMCTL_PFINFO_XALLOC : type) << R.TYPE_SHIFT) | BigInt(pfn))
			if (isEmpty) continue
			const page = pages.subarray(sent * PAGE_SIZE, (sent + 1) * PAGE_SIZE)
			page.set(machine.framePage(mfn))
			if (type !== 0) canonicalise(new Uint32Array(page.buffer, page.byteOffset, PAGE_SIZE / 4), type & 7, frames)
			sent++
		}
		head.view.setUint32(4, 8 + batch.length * 8 + sent * PAGE_SIZE, true)
		yield head.bytes
		if (sent > 0) yield pages.subarray(0, sent * PAGE_SIZE)
	}
}

function isZero(words: BigUint64Array, address: number): boolean {
	const first = address >>> 3
	for (let n = 0; n < PAGE_SIZE / 8; n++) if (words[first + n] !== 0n) return false
	return true
}

/** xen_cpuid_leaf_t of each leaf that a guest is shown. */
function cpuidPolicy(): Uint8Array {
	const leaves = [0, 0x8000_0000].flatMap((base) => Array.from({ length: cpuid(base, 0)[0] - base + 1 }, (_, n) => base + n))
	const body = new Bytes(leaves.length * 24)
	for (const leaf of leaves) {
		const subleaf = LEAVES_WITH_SUBLEAVES.has(leaf) ? 0 : NO_SUBLEAF
		body.u32(leaf).u32(subleaf)
		for (const register of cpuid(leaf, 0)) body.u32(register >>> 0)
	}
	return body.bytes
}

/** xen_msr_entry_t of what a guest's processor can be told apart by: nothing. */
function msrPolicy(): Uint8Array {
	return new Bytes(32).u32(MSR_INTEL_PLATFORM_INFO).u32(0).u64(0).u32(MSR_ARCH_CAPABILITIES).u32(0).u64(0).bytes
}
