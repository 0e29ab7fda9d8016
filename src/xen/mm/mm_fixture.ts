/** For tests: a small domain with a processor that only translates, through a TLB that forgets nothing until it is told to. */
import { ACCESS_WRITE, CPU_CR3_KERNEL, FRAME_ABSENT, FRAME_HOOK } from '../../x86/core/layout.ts'
import { type CoreExports, Cpu } from '../../x86/cpu.ts'
import { PAGE_SIZE } from '../../x86/machine_memory.ts'
import { Domain } from '../domain.ts'
import type { HypercallHandler } from '../hypercall_row.ts'
import { VcpuContext } from '../vcpu.ts'
import { initialiseMemory } from './memory.ts'
import { entryIndex, PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_RW, PTE_USER } from './page_tables.ts'
import { writePageTable } from './writable_pagetables.ts'

/** Where the fixture maps frame n: n pages above it. */
export const DIRECT_MAP = -(2 ** 47) + 16 * 2 ** 39
/** A page that is always there for hypercall arguments, outside the guest's memory: the guest cannot saw off this branch. */
export const ARGS_VA = 0x7000_0000
const ARGS_HOST = 0x4000

/** Flags of the fixture's table entries. */
export const TABLE = PTE_PRESENT | PTE_RW | PTE_USER
export const READ_ONLY = PTE_PRESENT | PTE_USER
export const READ_WRITE = PTE_PRESENT | PTE_RW | PTE_USER

interface Translation {
	readonly mfn: number
	readonly writable: boolean
}

export class Fixture {
	readonly domain: Domain
	readonly vcpu: VcpuContext
	/** Translations the processor may use, by page. */
	tlb = new Map<number, Translation>()
	/** By root. */
	readonly #remembered = new Map<number, Map<number, Translation>>()
	/** Of page tables, all, low, writes: those under which what is remembered was found. */
	#versions = [-1, -1, -1]
	flushes = 0
	/** What preemptPending() sees. */
	now_ns = 0
	/** MFNs of the initial tables. */
	readonly l4: number
	readonly l3: number
	readonly l2: number
	readonly l1: number

	/**
	 * `frames` at most 508, of which the guest owns `initial`; all of them are mapped at DIRECT_MAP, the last four read-only as they
	 * are the page tables. With `adopt` false the tables are written, but not yet taken. With `core`, the compiled processor, the guest's
	 * instructions can be run as well; translate(), store() and ARGS_VA are then of no use.
	 */
	constructor(frames = 64, initial = 48, adopt = true, core?: WebAssembly.Module) {
		this.domain = new Domain({ domid: 7, uuid: '', vcpus: 1, maxFrames: frames, maxPorts: 32, maxGrantFrames: 2 })
		initialiseMemory(this.domain, initial)
		this.l4 = initial - 1
		this.l3 = initial - 2
		this.l2 = initial - 3
		this.l1 = initial - 4
		const cpu = core ? this.#realCpu(core) : new Cpu(this.domain.machine, 0, this.#core())
		this.vcpu = new VcpuContext(
			this.domain,
			0,
			cpu,
			{ monotonic_ns: () => this.now_ns, wall: () => ({ seconds: 0, nanoseconds: 0 }) },
			{ log() {}, emergencyConsole() {}, random32: () => 0, report() {}, shutdown() {} },
		)
		this.poke(this.l4, entryIndex(DIRECT_MAP, 4), this.l3, TABLE)
		this.poke(this.l3, entryIndex(DIRECT_MAP, 3), this.l2, TABLE)
		this.poke(this.l2, entryIndex(DIRECT_MAP, 2), this.l1, TABLE)
		for (let mfn = 0; mfn < initial; mfn++) this.poke(this.l1, mfn, mfn, mfn < this.l1 ? READ_WRITE : READ_ONLY)
		if (adopt) {
			const rc = this.vcpu.mm.adoptInitialTables(this.l4)
			if (rc !== 0) throw new Error(`the fixture's tables are refused: ${rc}`)
		}
	}

	get types() {
		return this.vcpu.mm.types
	}

	/** Writes an entry behind the hypervisor's back. */
	poke(table: number, index: number, mfn: number, flags: number, hi = 0): void {
		const at = this.word(table, index)
		this.domain.machine.u32[at] = (mfn << 12) | flags
		this.domain.machine.u32[at + 1] = hi
	}

	/** Index in u32 of an entry. */
	word(table: number, index: number): number {
		return (this.domain.machine.frameAddress(table) >>> 2) + index * 2
	}

	/** The low half of an entry. */
	peek(table: number, index: number): number {
		return this.domain.machine.u32[this.word(table, index)]
	}

	/** Puts words (u32) at ARGS_VA + offset. */
	args(words: readonly number[], offset = 0): number {
		this.domain.machine.u32.set(words, (ARGS_HOST + offset) >>> 2)
		return ARGS_VA + offset
	}

	readArg(offset: number): number {
		return this.domain.machine.u32[(ARGS_HOST + offset) >>> 2]
	}

	/** Calls a hypercall's handler with 64-bit arguments given as signed numbers or [lo, hi]. */
	call(handler: HypercallHandler | undefined, ...values: (number | readonly [number, number])[]): number {
		const words = new Uint32Array(12)
		for (const [n, value] of values.entries()) {
			const [lo, hi] = typeof value === 'number' ? [value, Math.floor(value / 4294967296)] : value
			words[n * 2] = lo
			words[n * 2 + 1] = hi
		}
		this.lastArgs = words
		if (!handler) throw new Error('no handler')
		return handler(this.vcpu, words)
	}
	lastArgs = new Uint32Array(12)

	/** A guest's store of up to 8 bytes; false when it gets a #PF. */
	store(va: number, size: number, lo: number, hi = 0): boolean {
		const host = this.translate(va, ACCESS_WRITE)
		if (host !== -1) {
			const bytes = new Uint8Array(Uint32Array.of(lo, hi).buffer, 0, size)
			this.domain.machine.u8.set(bytes, host)
			return true
		}
		const found = this.#walk(va)
		if (!found || found.writable || (this.#attributes(found.mfn) & FRAME_HOOK) === 0) return false
		return writePageTable(this.vcpu, found.mfn * PAGE_SIZE + (va & (PAGE_SIZE - 1)), size, lo, hi)
	}

	translate(va: number, access: number): number {
		const offset = va & (PAGE_SIZE - 1)
		if (va >= ARGS_VA && va < ARGS_VA + PAGE_SIZE) return ARGS_HOST + offset
		const page = Math.floor(va / PAGE_SIZE)
		const cached = this.tlb.get(page)
		const found = cached && (access !== ACCESS_WRITE || cached.writable) ? cached : this.#walk(va, access)
		if (!found || (access === ACCESS_WRITE && !found.writable)) return -1
		if (found !== cached && this.#attributes(found.mfn) & FRAME_ABSENT) return -1
		this.tlb.set(page, found)
		return this.domain.machine.frameAddress(found.mfn) + offset
	}

	/** Walks the kernel's tables as the processor does, with no regard for page info. */
	#walk(va: number, access = -1): Translation | null {
		const { u32, frames } = this.domain.machine
		let table = this.vcpu.cpu.field(CPU_CR3_KERNEL)
		let writable = true
		for (let level = 4; level >= 1; level--) {
			const at = this.word(table, entryIndex(va, level))
			const entry = u32[at]
			if ((entry & (PTE_PRESENT | PTE_USER)) !== (PTE_PRESENT | PTE_USER)) return null
			writable &&= (entry & PTE_RW) !== 0
			u32[at] |= PTE_ACCESSED
			if (level === 1 && access === ACCESS_WRITE && writable) u32[at] |= PTE_DIRTY
			table = entry >>> 12
			if (table >= frames) throw new Error(`the processor would leave the machine: frame ${table}`)
		}
		return { mfn: table, writable }
	}

	#attributes(mfn: number): number {
		return this.domain.machine.u8[this.domain.machine.attributeAddress(mfn)]
	}

	#realCpu(core: WebAssembly.Module): Cpu {
		const cpu = Cpu.instantiate(this.domain.machine, 0, core, {
			readTsc: () => 0,
			random32: () => 0,
			protectedWrite: (maddr, size, lo, hi) => writePageTable(this.vcpu, maddr, size, lo, hi),
			undefinedInstruction() {},
		})
		cpu.setKernelMode(true)
		return cpu
	}

	/** Remembers each root's translations while no other versions are in force, as the processor does. */
	#loadRoot(mfn: number, all: number, low: number, writes: number): void {
		this.tlb = this.#remembered.get(mfn) ?? new Map()
		this.#remembered.set(mfn, this.tlb)
		this.#freshen(all, low, writes)
	}

	#freshen(all: number, low: number, writes: number): void {
		const [oldAll, oldLow, oldWrites] = this.#versions
		for (const tlb of [this.tlb, ...this.#remembered.values()]) {
			for (const [page, { writable }] of tlb) {
				if (all !== oldAll || (low !== oldLow && page >= 0) || (writes !== oldWrites && writable)) tlb.delete(page)
			}
		}
		this.#versions = [all, low, writes]
	}

	#core(): CoreExports {
		const flush = () => {
			this.flushes++
			this.#remembered.clear()
			this.tlb = new Map()
		}
		return {
			initialise() {},
			run: () => 0,
			step: () => 0,
			translate: (va, access) => this.translate(va, access),
			flushTlb: flush,
			flushPage: (va) => void this.tlb.delete(Math.floor(va / PAGE_SIZE)),
			flushWriteTlb: () => {
				this.flushes++
				this.#remembered.clear()
				for (const [page, { writable }] of this.tlb) if (writable) this.tlb.delete(page)
			},
			flushStale: (all, low, writes) => {
				this.flushes++
				this.#freshen(all, low, writes)
			},
			setKernelRoot: (mfn, all, low, writes) => this.#loadRoot(mfn, all, low, writes),
			forgetRoot: (mfn) => void this.#remembered.delete(mfn),
			setUserRoot() {},
			setKernelMode() {},
			invalidateFrame() {},
			loadSegment: () => 1,
			loadCodeSegment: () => 1,
		}
	}
}
