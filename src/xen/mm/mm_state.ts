import { errnoName, XEN_EINVAL, XEN_EPERM, XEN_ESRCH } from '../../abi/errno.ts'
import { DOMID_IO, DOMID_SELF } from '../../abi/xen.ts'
import { ACCESS_READ, ACCESS_WRITE, CPU_CR3_KERNEL, CPU_CR3_USER } from '../../x86/core/layout.ts'
import { PAGE_SIZE } from '../../x86/machine_memory.ts'
import { copyFromGuest, copyToGuest } from '../guest_access.ts'
import type { VcpuContext } from '../vcpu.ts'
import { giveBooks } from './books.ts'
import { installXenGdtPage } from './descriptors.ts'
import { isGuestAddress } from './mod_entry.ts'
import { PAGE_PINNED, PI_TYPE, TYPE_L4 } from './page_info.ts'
import { PageTypes } from './page_types.ts'

/** See MmState.foreign(). */
export const FOREIGN_SELF = 0
export const FOREIGN_IO = 1

/**
 * A vCPU's side of memory management: its base pointers, its TLB, and the copying of requests. The memory itself, shared by the
 * domain's vCPUs, is behind `types`.
 */
export class MmState {
	readonly vcpu: VcpuContext
	readonly types: PageTypes
	/** The request that fetch() has copied, as u32 words. */
	readonly request = new Uint32Array(8)
	readonly #requestBytes = new Uint8Array(this.request.buffer)

	constructor(vcpu: VcpuContext) {
		this.vcpu = vcpu
		const { cpu } = vcpu
		this.types = new PageTypes(vcpu.domain, {
			flushTlb: () => cpu.flushTlb(),
			flushWriteTlb: () => cpu.flushWriteTlb(),
			flushStale: () => cpu.flushStale(this.types),
			forgetRoot: (mfn) => cpu.forgetRoot(mfn),
			invalidateFrame: (mfn) => cpu.invalidateFrame(mfn),
		})
		installXenGdtPage(vcpu.domain, cpu)
		giveBooks(vcpu.domain, cpu)
	}

	// ---- base pointers ---------------------------------------------------------------------------------------------------------

	/** MFN of the kernel's L4, 0 before the first. */
	get kernelRoot(): number {
		return this.vcpu.cpu.field(CPU_CR3_KERNEL)
	}
	/** MFN of the user's L4, 0 for none. */
	get userRoot(): number {
		return this.vcpu.cpu.field(CPU_CR3_USER)
	}

	/** MMUEXT_NEW_BASEPTR. Flushes both TLBs of what may be stale, also when the base pointer stays the same. `mfn` may be -1; 0 means none and is refused. */
	newKernelRoot(mfn: number): number {
		const old = this.kernelRoot
		if (mfn === 0) return -XEN_EINVAL
		if (mfn !== old) {
			const rc = this.types.getPageAndType(mfn, TYPE_L4)
			if (rc !== 0) return rc
			this.types.useAsKernelRoot(mfn)
		}
		this.vcpu.cpu.setField(CPU_CR3_KERNEL, mfn)
		this.vcpu.cpu.setKernelRoot(mfn, this.types)
		this.vcpu.cpu.setUserRoot(this.userRoot, this.types)
		if (mfn !== old && old !== 0) this.types.putPageAndType(old)
		this.types.settle()
		return 0
	}

	/** MMUEXT_NEW_USER_BASEPTR; 0 for none. Flushes the user's TLB when the pointer changes. `mfn` may be -1. */
	newUserRoot(mfn: number): number {
		const old = this.userRoot
		if (mfn === old) return 0
		if (mfn !== 0) {
			const rc = this.types.getPageAndType(mfn, TYPE_L4)
			if (rc !== 0) return rc
			this.types.useAsUserRoot(mfn)
		}
		this.vcpu.cpu.setField(CPU_CR3_USER, mfn)
		this.vcpu.cpu.setUserRoot(mfn, this.types)
		if (old !== 0) this.types.putPageAndType(old)
		this.types.settle()
		return 0
	}

	/**
	 * Takes the page tables that the domain builder made: validates and pins the L4, and makes it the kernel's. Page info must have
	 * been initialised. Returns 0, or the negative errno of the first entry that breaks a rule of page_info.ts.
	 */
	adoptInitialTables(l4Mfn: number): number {
		const rc = this.types.getPageAndType(l4Mfn, TYPE_L4)
		if (rc !== 0) {
			this.logRefusal(`initial L4 frame 0x${l4Mfn.toString(16)}`, rc)
			return rc
		}
		this.types.u32[this.types.at(l4Mfn) + PI_TYPE] |= PAGE_PINNED
		return this.newKernelRoot(l4Mfn)
	}

	/** Logs what was asked for and refused with errno `rc` (negative), and the entry at which validation failed if it did. */
	logRefusal(what: string, rc: number): void {
		const entry = this.types.refusedEntry
		this.types.refusedEntry = null
		const where = entry ? ` (L${entry.level} frame 0x${entry.table.toString(16)} slot ${entry.index}: ${hex64(entry.lo, entry.hi)})` : ''
		this.vcpu.log('debug', `${what} refused: ${errnoName.get(-rc) ?? rc}${where}`)
	}

	// ---- TLBs ----------------------------------------------------------------------------------------------------------------------

	/** As the guest asks for: nothing stale is left. */
	flushTlb(): void {
		this.types.flushStale()
	}

	/** Drops one page's translations; nothing for an address that is not the guest's to map. */
	flushPage(va: number): void {
		if (isGuestAddress(va)) this.vcpu.cpu.flushPage(va)
	}

	/**
	 * Reads a bitmap of vCPUs (unsigned longs, as many as the domain's vCPUs need). Whether this vCPU is among them, or null on a
	 * fault.
	 */
	readVcpuMask(bitmap: number): boolean | null {
		let included = false
		for (let first = 0; first < this.vcpu.domain.description.vcpus; first += 64) {
			if (!this.fetch(bitmap + first / 8, 8)) return null
			const bit = this.vcpu.index - first
			if (bit >= 0 && bit < 64) included = ((this.request[bit >>> 5] >>> (bit & 31)) & 1) !== 0
		}
		return included
	}

	// ---- guest memory -----------------------------------------------------------------------------------------------------------------

	/** Copies `bytes` (a multiple of 4, at most 32) from the guest to `request`; false on a fault. */
	fetch(va: number, bytes: number): boolean {
		if (!isGuestAddress(va)) return false
		const { cpu } = this.vcpu
		const offset = va & (PAGE_SIZE - 1)
		if (offset + bytes <= PAGE_SIZE && (offset & 3) === 0) {
			const host = cpu.translate(va, ACCESS_READ)
			if (host === -1) return false
			const from = host >>> 2
			const { u32 } = this.types
			for (let n = 0; n < bytes >>> 2; n++) this.request[n] = u32[from + n]
			return true
		}
		const copy = copyFromGuest(cpu, va, bytes)
		if (!copy) return false
		this.#requestBytes.set(copy)
		return true
	}

	/** Stores a u32; false on a fault. */
	storeU32(va: number, value: number): boolean {
		if ((va & 3) !== 0) return copyToGuest(this.vcpu.cpu, va, new Uint8Array(Uint32Array.of(value).buffer))
		if (!isGuestAddress(va)) return false
		const host = this.vcpu.cpu.translate(va, ACCESS_WRITE)
		if (host === -1) return false
		this.types.u32[host >>> 2] = value
		return true
	}

	/** Stores a u64 given as halves; false on a fault. */
	storeU64(va: number, lo: number, hi: number): boolean {
		return copyToGuest(this.vcpu.cpu, va, new Uint8Array(Uint32Array.of(lo, hi).buffer))
	}

	/** Whether `count` elements of `size` bytes from `va` lie in the guest's part of the address space. */
	isGuestArray(va: number, count: number, size: number): boolean {
		return isGuestAddress(va) && (count === 0 || isGuestAddress(va + count * size - 1))
	}

	/** The domain that a foreigndom (or domid) names: FOREIGN_SELF, FOREIGN_IO, or the negative errno that a domU gets. */
	foreign(domid: number): number {
		if (domid === DOMID_SELF) return FOREIGN_SELF
		if (domid === DOMID_IO) return FOREIGN_IO
		// dom0 always exists and is out of a domU's reach. Naming itself other than by DOMID_SELF is refused as well.
		return domid === 0 && this.vcpu.domain.domid !== 0 ? -XEN_EPERM : -XEN_ESRCH
	}

	/** The domain that owns the page tables of an mmu_update: 0, or a negative errno. */
	tableOwner(domid: number): number {
		if (domid === this.vcpu.domain.domid) return 0
		return domid === 0 ? -XEN_EPERM : -XEN_ESRCH
	}
}

/** A 64-bit value for the log. */
export function hex64(lo: number, hi: number): string {
	return `0x${(hi >>> 0).toString(16)}${(lo >>> 0).toString(16).padStart(8, '0')}`.replace(/^0x0+(?=.)/, '0x')
}
