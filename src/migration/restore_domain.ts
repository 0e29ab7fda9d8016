import {
	ext_vcpucontext,
	XEN_DOMCTL_PFINFO_L1TAB,
	XEN_DOMCTL_PFINFO_L4TAB,
	XEN_DOMCTL_PFINFO_LPINTAB,
	XEN_DOMCTL_PFINFO_XALLOC,
	XEN_DOMCTL_PFINFO_XTAB,
} from '../abi/domctl.ts'
import { start_info, XEN_GUEST_MAGIC_X86_64 } from '../abi/start_info.ts'
import {
	arch_shared_info,
	cpu_user_regs,
	SIF_VIRT_P2M_4TOOLS,
	shared_info,
	vcpu_guest_context,
	vcpu_info,
	XEN_LEGACY_MAX_VCPUS,
} from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { Domain } from '../xen/domain.ts'
import { framePopulator } from '../xen/mm/populate.ts'
import type { SavedContext } from '../xen/vcpu_restore.ts'
import * as R from './records.ts'
import { StreamError } from './stream_error.ts'
import { type StreamReader, type StreamRecord, viewOf } from './stream_reader.ts'

export interface RestoredDomain {
	readonly context: SavedContext
	/** The guest's system time when it was saved, in ns. */
	readonly systemTime_ns: number
	readonly storeMfn: number
	readonly consoleMfn: number
}

/** The ports that a restored guest finds in its start_info. */
export interface RestoredPorts {
	readonly storePort: number
	readonly consolePort: number
}

/** A guest's clock may not come near 2^53 ns, the end of the hypervisor's. */
const TIME_MAX_ns = 2n ** 52n

/**
 * Reads libxc's stream behind its headers, to its end, into a domain that has no frames yet (populated: false), frame n being its page n. Throws StreamError for
 * whatever is not as it must be; the page tables are checked by the vCPU, when it takes the context.
 */
export class DomainRestorer {
	private readonly reader: StreamReader
	private readonly version: number
	private readonly seen = new Map<number, DataView>()
	private readonly pins: number[] = []

	constructor(reader: StreamReader, version: number) {
		this.reader = reader
		this.version = version
	}

	async restore(domain: Domain, ports: RestoredPorts): Promise<RestoredDomain> {
		const populate = framePopulator(domain)
		const populated = new Uint8Array(domain.layout.ramFrames)
		for (;;) {
			const record = await this.reader.record()
			if (record.type === R.REC_END) break
			if (record.type === R.REC_PAGE_DATA) this.readPages(domain, record, populate, populated)
			else this.take(record)
		}
		const isPage = (pfn: bigint) => pfn < BigInt(populated.length) && populated[Number(pfn)] === 1
		writeP2m(domain, this.need(R.REC_X86_PV_P2M_FRAMES, 'P2M frames'), populated, isPage)
		writeSharedInfo(domain, this.need(R.REC_SHARED_INFO, 'shared_info'))
		const { basic, startInfo } = this.context(isPage)
		const rings = writeStartInfo(domain, startInfo, ports, isPage)
		const extended = this.seen.get(R.REC_X86_PV_VCPU_EXTENDED)
		const context: SavedContext = {
			basic,
			extended: extended === undefined ? undefined : extendedContext(extended),
			pins: Uint32Array.from(this.pins),
		}
		return { context, ...rings, systemTime_ns: this.systemTime_ns() }
	}

	private take({ type, body }: StreamRecord): void {
		if (this.seen.has(type)) throw new StreamError(`it has two records of type 0x${type.toString(16)}`)
		const check = CHECKS.get(type)
		if (check === undefined) {
			if (type & R.RECORD_OPTIONAL) return
			throw new StreamError(
				`it has a record of type 0x${type.toString(16)}, which means nothing for a paravirtual domain that was saved to a file`,
			)
		}
		check(body)
		this.seen.set(type, body)
	}

	private need(type: number, what: string): DataView {
		const body = this.seen.get(type)
		if (body === undefined) throw new StreamError(`it has no record of its ${what}`)
		return body
	}

	private readPages(domain: Domain, { body }: StreamRecord, populate: (pfn: number) => boolean, populated: Uint8Array): void {
		if (!this.seen.has(R.REC_X86_PV_INFO)) throw new StreamError('its pages come before what its guest is')
		if (this.version >= 3 && !this.seen.has(R.REC_STATIC_DATA_END))
			throw new StreamError('its pages come before the end of its static data')
		const count = body.byteLength >= 8 ? body.getUint32(0, true) : 0
		if (count < 1 || count > R.BATCH_PAGES || body.getUint32(4, true) !== 0 || body.byteLength < 8 + count * 8) {
			throw new StreamError(`a record of its pages is of ${count} pages in ${body.byteLength} bytes: it may be of 1 to ${R.BATCH_PAGES}`)
		}
		const { machine } = domain
		let from = 8 + count * 8
		for (let n = 0; n < count; n++) {
			const entry = body.getBigUint64(8 + n * 8, true)
			const [pfn, type] = [entry & R.PFN_MASK, Number(entry >> R.TYPE_SHIFT)]
			if (type === XEN_DOMCTL_PFINFO_XTAB) continue
			const level = type & 7
			const isTable = level >= XEN_DOMCTL_PFINFO_L1TAB && level <= XEN_DOMCTL_PFINFO_L4TAB
			if (type !== 0 && type !== XEN_DOMCTL_PFINFO_XALLOC && !isTable)
				throw new StreamError(`its page 0x${pfn.toString(16)} is of type ${type}`)
			if (pfn >= BigInt(populated.length)) {
				throw new StreamError(
					`it has a page 0x${pfn.toString(16)}, beyond the ${(populated.length * 4) / 1024} MiB that the domain may have`,
				)
			}
			const mfn = Number(pfn)
			if (!populate(mfn)) throw new StreamError(`its page 0x${mfn.toString(16)} comes twice`)
			populated[mfn] = 1
			if (type & XEN_DOMCTL_PFINFO_LPINTAB && isTable) this.pins.push(mfn, level)
			if (type === XEN_DOMCTL_PFINFO_XALLOC) continue
			if (from + PAGE_SIZE > body.byteLength) throw new StreamError(`a record of its pages has fewer than it says`)
			machine.framePage(mfn).set(new Uint8Array(body.buffer, body.byteOffset + from, PAGE_SIZE))
			from += PAGE_SIZE
		}
		if (from !== body.byteLength) throw new StreamError('a record of its pages has more than it says')
	}

	/** The first vCPU's context, made fit for this machine but not checked, and its start_info page. */
	private context(isPage: (pfn: bigint) => boolean): { readonly basic: Uint8Array; readonly startInfo: number } {
		const body = this.need(R.REC_X86_PV_VCPU_BASIC, 'vCPU')
		const basic = new Uint8Array(body.buffer, body.byteOffset + 8, vcpu_guest_context.size).slice()
		const view = viewOf(basic)
		const { at } = vcpu_guest_context
		const startInfo = view.getBigUint64(at.user_regs + cpu_user_regs.at.rdx, true)
		if (!isPage(startInfo)) throw new StreamError(`its start_info is page 0x${startInfo.toString(16)}, which it does not have`)
		const user = at.ctrlreg + 1 * 8
		const root = view.getBigUint64(user, true)
		view.setBigUint64(user, root & 1n ? root & ~1n : 0n, true)
		return { basic, startInfo: Number(startInfo) }
	}

	private systemTime_ns(): number {
		const time = this.seen.get(R.REC_X86_TSC_INFO)?.getBigUint64(8, true) ?? 0n
		if (time > TIME_MAX_ns) throw new StreamError(`its clock stands at ${time} ns: at most ${TIME_MAX_ns} are possible`)
		return Number(time)
	}
}

/** Records that there may be once each, and what their bodies must be. Of some, no more is used than that they fit. */
const CHECKS: ReadonlyMap<number, (body: DataView) => void> = new Map([
	[R.REC_X86_PV_INFO, checkPvInfo],
	[R.REC_X86_CPUID_POLICY, multipleOf(24, 'CPUID policy')],
	[R.REC_X86_MSR_POLICY, multipleOf(16, 'MSR policy')],
	[R.REC_STATIC_DATA_END, exactly(0, 'end of static data')],
	[R.REC_X86_PV_P2M_FRAMES, atLeast(8, 'P2M frames')],
	[R.REC_X86_TSC_INFO, exactly(24, 'time stamp counter')],
	[R.REC_SHARED_INFO, exactly(PAGE_SIZE, 'shared_info')],
	[R.REC_X86_PV_VCPU_BASIC, vcpu0(8 + vcpu_guest_context.size, 'vCPU')],
	[R.REC_X86_PV_VCPU_EXTENDED, vcpu0(8 + ext_vcpucontext.size, "vCPU's callbacks")],
	[R.REC_X86_PV_VCPU_XSAVE, vcpu0(8, "vCPU's extended state, which this processor does not have,")],
	[R.REC_X86_PV_VCPU_MSRS, vcpu0(8, "vCPU's model-specific registers, which this processor does not have,")],
])

function checkPvInfo(body: DataView): void {
	exactly(8, 'paravirtual information')(body)
	const [width, levels] = [body.getUint8(0), body.getUint8(1)]
	if (width !== 8 || levels !== 4)
		throw new StreamError(`its guest is of ${width * 8} bits with ${levels} levels of page tables: only 64 and 4 run here`)
}

function vcpu0(size: number, what: string): (body: DataView) => void {
	return (body) => {
		if (body.byteLength < 8) throw wrongLength(what, body, `${size}`)
		const vcpu = body.getUint32(0, true)
		if (vcpu !== 0) throw new StreamError(`it has a vCPU ${vcpu}: a domain here has one, number 0`)
		exactly(size, what)(body)
	}
}

function exactly(size: number, what: string): (body: DataView) => void {
	return (body) => {
		if (body.byteLength !== size) throw wrongLength(what, body, `${size}`)
	}
}

function atLeast(size: number, what: string): (body: DataView) => void {
	return (body) => {
		if (body.byteLength < size || body.byteLength % 8 !== 0) throw wrongLength(what, body, `at least ${size}, in eights`)
	}
}

function multipleOf(size: number, what: string): (body: DataView) => void {
	return (body) => {
		if (body.byteLength % size !== 0) throw wrongLength(what, body, `a multiple of ${size}`)
	}
}

function wrongLength(what: string, body: DataView, allowed: string): StreamError {
	return new StreamError(`the record of its ${what} has ${body.byteLength} bytes: it must have ${allowed}`)
}

function extendedContext(body: DataView): Uint8Array {
	return new Uint8Array(body.buffer, body.byteOffset + 8, body.byteLength - 8).slice()
}

/** Writes the guest's table of frames anew: page n is frame n, or there is none. */
function writeP2m({ machine }: Domain, body: DataView, populated: Uint8Array, isPage: (pfn: bigint) => boolean): void {
	const [first, last] = [body.getUint32(0, true), body.getUint32(4, true)]
	const pages = body.byteLength / 8 - 1
	const firstPage = Math.floor(first / R.P2M_ENTRIES)
	if (first % R.P2M_ENTRIES !== 0 || last < first || Math.floor(last / R.P2M_ENTRIES) - firstPage + 1 !== pages) {
		throw new StreamError(`its table of frames is of pages 0x${first.toString(16)} to 0x${last.toString(16)} in ${pages} pages`)
	}
	for (let n = 0; n < pages; n++) {
		const pfn = body.getBigUint64(8 + n * 8, true)
		if (!isPage(pfn)) throw new StreamError(`its table of frames is in page 0x${pfn.toString(16)}, which it does not have`)
		const at = machine.frameAddress(Number(pfn)) >>> 2
		for (let entry = 0; entry < R.P2M_ENTRIES; entry++) {
			const described = (firstPage + n) * R.P2M_ENTRIES + entry
			const isThere = populated[described] === 1
			machine.u32[at + entry * 2] = isThere ? described : 0xffff_ffff
			machine.u32[at + entry * 2 + 1] = isThere ? 0 : 0xffff_ffff
		}
	}
}

/** What the guest and Xen shared, but for what is another's now: events, time, and where the table of frames was. */
function writeSharedInfo({ machine, layout }: Domain, body: DataView): void {
	const old = new Uint8Array(body.buffer, body.byteOffset, PAGE_SIZE)
	const page = machine.framePage(layout.sharedInfoMfn)
	const { at } = shared_info
	page.set(old.subarray(at.vcpu_info, at.vcpu_info + XEN_LEGACY_MAX_VCPUS * vcpu_info.size), at.vcpu_info)
	page.set(old.subarray(at.arch, at.arch + arch_shared_info.size), at.arch)
	const view = viewOf(page)
	view.setBigUint64(at.arch + arch_shared_info.at.pfn_to_mfn_frame_list_list, 0n, true)
	for (let vcpu = 0; vcpu < XEN_LEGACY_MAX_VCPUS; vcpu++) {
		const info = at.vcpu_info + vcpu * vcpu_info.size
		view.setBigUint64(info + vcpu_info.at.evtchn_pending_sel, 0n, true)
		page[info + vcpu_info.at.evtchn_upcall_pending] = 0
	}
	page.fill(0, at.evtchn_pending, at.evtchn_pending + 512)
	page.fill(0xff, at.evtchn_mask, at.evtchn_mask + 512)
}

/** Tells the guest of its new domain. Returns the frames of its rings. */
function writeStartInfo(
	{ machine, layout }: Domain,
	mfn: number,
	ports: RestoredPorts,
	isPage: (pfn: bigint) => boolean,
): Pick<RestoredDomain, 'storeMfn' | 'consoleMfn'> {
	const page = machine.framePage(mfn)
	const view = viewOf(page)
	const { at } = start_info
	const ring = (offset: number, what: string) => {
		const pfn = view.getBigUint64(offset, true)
		if (!isPage(pfn)) throw new StreamError(`the ring of its ${what} is in page 0x${pfn.toString(16)}, which it does not have`)
		return Number(pfn)
	}
	const [storeMfn, consoleMfn] = [ring(at.store_mfn, 'store'), ring(at.console_domU_mfn, 'console')]
	page.set(new TextEncoder().encode(XEN_GUEST_MAGIC_X86_64.padEnd(32, '\0')), at.magic)
	view.setBigUint64(at.nr_pages, BigInt(layout.ramFrames), true)
	view.setBigUint64(at.shared_info, BigInt(layout.sharedInfoMfn) * BigInt(PAGE_SIZE), true)
	view.setUint32(at.flags, SIF_VIRT_P2M_4TOOLS, true)
	view.setUint32(at.store_evtchn, ports.storePort, true)
	view.setUint32(at.console_domU_evtchn, ports.consolePort, true)
	return { storeMfn, consoleMfn }
}
