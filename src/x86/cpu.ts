import * as L from './core/layout.ts'
import type { MachineMemory } from './machine_memory.ts'

/** General register numbers in encoding order. */
export const RAX = 0,
	RCX = 1,
	RDX = 2,
	RBX = 3,
	RSP = 4,
	RBP = 5,
	RSI = 6,
	RDI = 7
export const R8 = 8,
	R9 = 9,
	R10 = 10,
	R11 = 11,
	R12 = 12,
	R13 = 13,
	R14 = 14,
	R15 = 15

/** What the processor asks of its host. */
export interface CpuHost {
	/** RDTSC: the guest's time stamp counter, in ticks, an integer below 2^53. */
	readTsc(): number
	/** RDRAND and RDSEED: 32 bits, signed or not, fit for keys. */
	random32(): number
	/**
	 * A write of `size` bytes (1, 2, 4, 8; value = hi:lo) to machine address `maddr` in a frame marked FRAME_HOOK.
	 * Returns true when the host has done or dropped the write, false to raise #PF for it.
	 */
	protectedWrite(maddr: number, size: number, lo: number, hi: number): boolean
	/** An instruction the decoder does not know, raised as #UD: its first bytes, for the log. */
	undefinedInstruction(rip: number, bytes: Uint8Array): void
}

/**
 * Linear addresses in TypeScript are canonical 48-bit addresses as signed numbers: 0xffff8000_00000000 is -(2 ** 47).
 * Every one is an exact double. Non-canonical values never become a Gva.
 */
export type Gva = number

/**
 * Versions of the page tables, u32. One grows whenever a present entry of a table loses its frame, a right, or its accessed or dirty bit, and whenever a table goes out
 * of use: `low` when that can only be met at addresses below 2 ** 47, `writes` when nothing but writing is lost, else `all`.
 */
export interface TableVersions {
	readonly all: number
	readonly low: number
	readonly writes: number
}

/** A version that is never that of anything remembered. */
const ANY_VERSION = 0xffff_ffff
const NO_VERSIONS: TableVersions = { all: ANY_VERSION, low: ANY_VERSION, writes: ANY_VERSION }

/** One virtual processor: a thin accessor over its state block, and the core's entry points. */
export class Cpu {
	readonly machine: MachineMemory
	readonly index: number
	/** Host address of the state block. */
	readonly state: number
	private readonly core: CoreExports
	/** For the translator only; absent where the core is not the real one. */
	readonly regions: RegionExports | undefined

	constructor(machine: MachineMemory, index: number, core: CoreExports, regions?: RegionExports) {
		this.machine = machine
		this.index = index
		this.state = machine.vcpuState(index)
		this.core = core
		this.regions = regions
	}

	/** Instantiates the core over the machine's memory. `module` is the compiled core (src/x86/core). */
	static instantiate(machine: MachineMemory, index: number, module: WebAssembly.Module, host: CpuHost): Cpu {
		const imports = {
			env: {
				memory: machine.memory,
				abort: (_m: number, _f: number, line: number, column: number) => {
					throw new Error(`core abort at ${line}:${column}`)
				},
			},
			host: {
				readTsc: () => host.readTsc(),
				random32: () => host.random32(),
				protectedWrite: (maddr: number, size: number, lo: number, hi: number) => (host.protectedWrite(maddr >>> 0, size, lo, hi) ? 1 : 0),
				undefinedInstruction: (rip: number, at: number, length: number) =>
					host.undefinedInstruction(rip, machine.u8.slice(at >>> 0, (at >>> 0) + length)),
			},
		}
		const core = new WebAssembly.Instance(module, imports).exports as unknown as CoreExports & RegionExports
		core.initialise(machine.vcpuState(index), machine.frameBase, machine.frames, machine.frameAttributes)
		return new Cpu(machine, index, core, core)
	}

	/** Runs up to about `budget` instructions. Returns an EXIT_* number. */
	run(budget: number): number {
		return this.core.run(budget)
	}
	/** Runs one instruction. Returns EXIT_BUDGET when it retired, else as run(). */
	step(): number {
		return this.core.step()
	}

	/**
	 * Translates a linear address with the current mode's page tables as an access by the guest would: sets accessed/dirty bits.
	 * `access` is ACCESS_*. Returns the host address, or -1 when it would fault. FRAME_HOOK frames refuse writes.
	 */
	translate(va: Gva, access: number): number {
		return this.core.translate(va, access)
	}
	/** Drops every entry of both TLBs. */
	flushTlb(): void {
		this.core.flushTlb()
	}
	/** Drops one page's entries from both TLBs. */
	flushPage(va: Gva): void {
		this.core.flushPage(va)
	}
	/** Drops what both TLBs remember of writable pages. */
	flushWriteTlb(): void {
		this.core.flushWriteTlb()
	}
	/** Drops what both TLBs hold that may be stale under these versions. */
	flushStale({ all, low, writes }: TableVersions): void {
		this.core.flushStale(all, low, writes)
	}
	/** Installs the kernel's L4 and flushes its TLB; what was remembered of that L4 and holds under these versions is kept. Without them, nothing is. */
	setKernelRoot(mfn: number, { all, low, writes }: TableVersions = NO_VERSIONS): void {
		this.core.setKernelRoot(mfn, all, low, writes)
	}
	/** The same for the user's L4. */
	setUserRoot(mfn: number, { all, low, writes }: TableVersions = NO_VERSIONS): void {
		this.core.setUserRoot(mfn, all, low, writes)
	}
	/** A frame that is not loaded is no L4 any more: what is remembered of it is forgotten. */
	forgetRoot(mfn: number): void {
		this.core.forgetRoot(mfn)
	}
	/** Switches between the kernel's and the user's page tables and TLB; flushes nothing. */
	setKernelMode(kernel: boolean): void {
		this.core.setKernelMode(kernel ? 1 : 0)
	}
	/** Drops decoded code of a frame (after the host wrote to it). */
	invalidateFrame(mfn: number): void {
		this.core.invalidateFrame(mfn)
	}
	/** Loads a segment register (0..5, encoding order) as MOV Sreg would; false when the descriptor refuses (state unchanged). */
	loadSegment(register: number, selector: number): boolean {
		return this.core.loadSegment(register, selector) !== 0
	}
	/** Sets CS for a return to `selector`, and with it 64-bit or compatibility mode; false when the descriptor refuses. */
	loadCodeSegment(selector: number): boolean {
		return this.core.loadCodeSegment(selector) !== 0
	}

	lo(register: number): number {
		return this.machine.u32[(this.state >> 2) + register * 2] as number
	}
	hi(register: number): number {
		return this.machine.u32[(this.state >> 2) + register * 2 + 1] as number
	}
	/** The register as a signed number: exact for |value| < 2^53 (all canonical addresses, errnos, counts). */
	get(register: number): number {
		const at = (this.state >> 2) + register * 2
		return (this.machine.i32[at + 1] as number) * 4294967296 + (this.machine.u32[at] as number)
	}
	/** Stores a signed number, sign-extended to 64 bits; exact for |value| < 2^53. */
	set(register: number, value: number): void {
		const at = (this.state >> 2) + register * 2
		this.machine.u32[at] = value % 4294967296
		this.machine.i32[at + 1] = Math.floor(value / 4294967296)
	}
	setHalves(register: number, lo: number, hi: number): void {
		const at = (this.state >> 2) + register * 2
		this.machine.u32[at] = lo
		this.machine.u32[at + 1] = hi
	}
	getBig(register: number): bigint {
		return this.machine.u64[(this.state >> 3) + register] as bigint
	}
	setBig(register: number, value: bigint): void {
		this.machine.u64[(this.state >> 3) + register] = BigInt.asUintN(64, value)
	}

	/** A u32 field of the state block, by its CPU_* offset. */
	field(offset: number): number {
		return this.machine.u32[(this.state + offset) >> 2] as number
	}
	setField(offset: number, value: number): void {
		this.machine.u32[(this.state + offset) >> 2] = value
	}
	/** A u64 field as a signed number (see get()). */
	wide(offset: number): number {
		return this.get(offset >> 3)
	}
	setWide(offset: number, value: number): void {
		this.set(offset >> 3, value)
	}
	selector(register: number): number {
		return this.machine.u16[(this.state + L.CPU_SELECTORS + register * 2) >> 1] as number
	}

	get rip(): Gva {
		return this.wide(L.CPU_RIP)
	}
	set rip(value: Gva) {
		this.setWide(L.CPU_RIP, value)
	}
	get rflags(): number {
		return this.field(L.CPU_RFLAGS)
	}
	set rflags(value: number) {
		this.setField(L.CPU_RFLAGS, value)
	}
}

/** The core's exports; addresses are host addresses, `va` a Gva as f64. */
export interface CoreExports {
	initialise(state: number, frameBase: number, frames: number, attributes: number): void
	run(budget: number): number
	step(): number
	translate(va: number, access: number): number
	flushTlb(): void
	flushPage(va: number): void
	flushWriteTlb(): void
	flushStale(all: number, low: number, writes: number): void
	setKernelRoot(mfn: number, all: number, low: number, writes: number): void
	setUserRoot(mfn: number, all: number, low: number, writes: number): void
	forgetRoot(mfn: number): void
	setKernelMode(kernel: number): void
	invalidateFrame(mfn: number): void
	loadSegment(register: number, selector: number): number
	loadCodeSegment(selector: number): number
}

/** What the core offers to the translator (src/x86/translator); regions import from it besides. */
export interface RegionExports {
	readonly table: WebAssembly.Table
	readonly regionArena: WebAssembly.Global<'i32'>
	tlbEntries(): number
	decodeRecord(at: number, available: number, record: number, off: number, code64: number): number
	codeAddressPhysical(): number
	enterHere(): number
	enterAt(physical: number): void
	installRegion(physical: number, index: number, region: number): number
	regionAt(physical: number): number
	isEntry(physical: number): number
	codeFrameAt(va: number): number
	frameVersion(mfn: number): number
	protectLines(mfn: number, from: number, to: number): void
	dropAllCode(): void
}
