/**
 * Our processor with one static program and nothing else: page tables that map the program and a stack, and three system calls served by the host.
 * It measures the processor alone: no kernel, no interrupts, no events.
 */
import { readFileSync } from 'node:fs'
import * as L from '../src/x86/core/layout.ts'
import { Cpu, R11, RAX, RCX, RDI, RDX, type RegionExports, RSI, RSP } from '../src/x86/cpu.ts'
import { MachineMemory, PAGE_SIZE } from '../src/x86/machine_memory.ts'
import type { RegionCompiler } from '../src/x86/translator/compiler.ts'
import type { BuildingRoom } from '../src/x86/translator/region_builder.ts'
import { BUDGET as FIRST_BUDGET, Translator } from '../src/x86/translator/translator.ts'

const RAM_FRAMES = 2048
const STACK_TOP = 0x7fff_f000
const STACK_PAGES = 64
const ENTRY_FLAGS = 0x67 // present, writable, user, accessed, dirty
const USER_DS = 0xe02b
const USER_CS64 = 0xe033
/** OSFXSR, OSXMMEXCPT. */
const CR4 = 0x600
/** Instructions between looks at the clock of a run that must end; where code is translated, a domain's, because it is found by sampling. */
const BUDGET = 10_000_000
const SYS_WRITE = 1
const SYS_EXIT_GROUP = 231
const SYS_CLOCK_GETTIME = 228
const ENOSYS = 38
const PT_LOAD = 1

export interface FlatResult {
	readonly status: number
	/** What the program wrote to its standard output and error. */
	readonly output: string
	/** Guest instructions, and time of this thread, between the program's last two looks at the clock. */
	readonly instructions: number
	readonly time_ms: number
}

/** Time that this thread has run: the program's clock too, so that what else the host does isn't measured. */
function threadTime_ms(): number {
	const { user, system } = process.threadCpuUsage()
	return (user + system) / 1000
}

/** Runs a static ELF executable to its end, interpreted, or with hot code translated (by `compiler`, if given). Throws when it faults, or takes longer than `limit_ms`. */
export function runFlat(
	core: WebAssembly.Module,
	path: string,
	args: readonly string[],
	limit_ms: number,
	{ translated = false, compiler }: { readonly translated?: boolean; readonly compiler?: RegionCompiler } = {},
): FlatResult {
	return new FlatMachine(core, readFileSync(path), [path, ...args]).run(limit_ms, translated, compiler)
}

/** Room to build regions in, without a machine to run them on. */
export function buildingRoom(core: WebAssembly.Module): BuildingRoom {
	const machine = new MachineMemory({ ramFrames: 16, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	const cpu = Cpu.instantiate(machine, 0, core, {
		readTsc: () => 0,
		random32: () => 0,
		protectedWrite: () => false,
		undefinedInstruction() {},
	})
	const regions = cpu.regions as RegionExports
	return { core: regions, memory: machine.memory, at: regions.regionArena.value >>> 0 }
}

class FlatMachine {
	private readonly machine = new MachineMemory({ ramFrames: RAM_FRAMES, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	private readonly view = new DataView(this.machine.memory.buffer)
	private readonly cpu: Cpu
	private readonly root: number
	private nextFrame = 1
	private output = ''
	private status: number | undefined
	private looks: { instructions: number; time_ms: number }[] = []

	constructor(core: WebAssembly.Module, elf: Buffer, argv: readonly string[]) {
		this.cpu = Cpu.instantiate(this.machine, 0, core, {
			readTsc: () => Math.floor(performance.now() * 1e6),
			random32: () => 0,
			protectedWrite: () => false,
			undefinedInstruction: (rip, bytes) => {
				this.output += `undefined instruction at ${rip.toString(16)}: ${Buffer.from(bytes).toString('hex')}\n`
			},
		})
		this.root = this.takeFrame()
		this.loadSegments(elf)
		for (let page = 1; page <= STACK_PAGES; page++) this.mapped(STACK_TOP - page * PAGE_SIZE)
		this.startProcessor()
		this.cpu.rip = Number(elf.readBigUInt64LE(24))
		this.pushArguments(argv)
	}

	run(limit_ms: number, translated: boolean, compiler: RegionCompiler | undefined): FlatResult {
		const end_ms = performance.now() + limit_ms
		const translator = translated ? new Translator(this.cpu, { compiler }) : undefined
		let budget = translated ? FIRST_BUDGET : BUDGET
		while (this.status === undefined) {
			const reason = this.cpu.run(budget)
			if (reason === L.EXIT_SYSCALL) this.systemCall()
			else if (reason !== L.EXIT_BUDGET) throw new Error(this.describe(reason))
			else if (translator !== undefined) budget = translator.sample()
			if (performance.now() > end_ms) throw new Error(`it ran for more than ${limit_ms} ms, and is at ${this.cpu.rip.toString(16)}`)
		}
		const [from, to] = this.looks.slice(-2)
		return {
			status: this.status,
			output: this.output,
			instructions: to === undefined ? 0 : to.instructions - from!.instructions,
			time_ms: to === undefined ? 0 : to.time_ms - from!.time_ms,
		}
	}

	private describe(reason: number): string {
		const rip = this.cpu.rip.toString(16)
		if (reason !== L.EXIT_EXCEPTION) return `it stopped at ${rip} with exit reason ${reason}\n${this.output}`
		const [vector, error] = [this.cpu.field(L.CPU_EXC_VECTOR), this.cpu.field(L.CPU_EXC_ERROR)]
		return `exception ${vector}, error code ${error}, at ${rip}, CR2 ${this.cpu.wide(L.CPU_CR2).toString(16)}\n${this.output}`
	}

	private takeFrame(): number {
		if (this.nextFrame >= RAM_FRAMES) throw new RangeError(`the program needs more than ${RAM_FRAMES} pages`)
		return this.nextFrame++
	}

	/** Host address of what is mapped at a linear address below 2^47; a fresh page where nothing was. */
	private mapped(va: number): number {
		let table = this.root
		for (const shift of [39, 30, 21, 12]) {
			const entry = this.machine.frameAddress(table) + (Math.floor(va / 2 ** shift) % 512) * 8
			if (this.view.getUint32(entry, true) === 0) this.view.setUint32(entry, (this.takeFrame() << 12) | ENTRY_FLAGS, true)
			table = this.view.getUint32(entry, true) >>> 12
		}
		return this.machine.frameAddress(table) + (va % PAGE_SIZE)
	}

	private copyIn(va: number, bytes: Uint8Array): void {
		for (let done = 0; done < bytes.length; ) {
			const size = Math.min(bytes.length - done, PAGE_SIZE - ((va + done) % PAGE_SIZE))
			this.machine.u8.set(bytes.subarray(done, done + size), this.mapped(va + done))
			done += size
		}
	}

	private loadSegments(elf: Buffer): void {
		const [at, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)]
		for (let header = at; header < at + size * count; header += size) {
			if (elf.readUInt32LE(header) !== PT_LOAD) continue
			const field = (offset: number) => Number(elf.readBigUInt64LE(header + offset))
			const [offset, va, fileSize, memorySize] = [field(8), field(16), field(32), field(40)]
			for (let page = va - (va % PAGE_SIZE); page < va + memorySize; page += PAGE_SIZE) this.mapped(page)
			this.copyIn(va, elf.subarray(offset, offset + fileSize))
		}
	}

	private startProcessor(): void {
		const { cpu, machine } = this
		cpu.setKernelRoot(this.root)
		cpu.setUserRoot(this.root)
		cpu.setKernelMode(false)
		cpu.setField(L.CPU_CR4, CR4)
		cpu.setField(L.CPU_MXCSR, 0x1f80)
		machine.u16[(cpu.state + L.CPU_FCW) >> 1] = 0x037f
		cpu.setField(L.CPU_CODE64, 1)
		machine.u16.set([USER_DS, USER_CS64, USER_DS, USER_DS, 0, 0], (cpu.state + L.CPU_SELECTORS) >> 1)
		cpu.rflags = 0x202
	}

	/** The stack as execve leaves it: argc, argv, no environment, no auxiliary vector. */
	private pushArguments(argv: readonly string[]): void {
		const words = [argv.length]
		let at = STACK_TOP
		for (const argument of argv) {
			const bytes = Buffer.from(`${argument}\0`)
			at -= bytes.length
			this.copyIn(at, bytes)
			words.push(at)
		}
		words.push(0, 0, 0, 0)
		at -= words.length * 8
		at -= at % 16
		this.copyIn(at, new Uint8Array(BigUint64Array.from(words.map(BigInt)).buffer))
		this.cpu.set(RSP, at)
	}

	private systemCall(): void {
		const { cpu } = this
		const number = cpu.get(RAX)
		cpu.set(RCX, cpu.rip)
		cpu.set(R11, cpu.rflags)
		if (number === SYS_WRITE) cpu.set(RAX, this.write(cpu.get(RSI), cpu.get(RDX)))
		else if (number === SYS_CLOCK_GETTIME) cpu.set(RAX, this.clockGettime(cpu.get(RSI)))
		else if (number === SYS_EXIT_GROUP) this.status = cpu.get(RDI)
		else cpu.set(RAX, -ENOSYS)
	}

	private write(va: number, size: number): number {
		for (let n = 0; n < size; n++) this.output += String.fromCharCode(this.machine.u8[this.mapped(va + n)]!)
		return size
	}

	private clockGettime(va: number): number {
		const time_ms = threadTime_ms()
		this.looks.push({ instructions: this.cpu.wide(L.CPU_ICOUNT), time_ms })
		const nanoseconds = BigInt(Math.round(time_ms * 1e6))
		this.copyIn(va, new Uint8Array(BigUint64Array.of(nanoseconds / 1_000_000_000n, nanoseconds % 1_000_000_000n).buffer))
		return 0
	}
}
