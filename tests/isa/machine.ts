// Runs cases on our processor: a machine of a few frames whose page tables map what native/harness.c maps.

import * as L from '../../src/x86/core/layout.ts'
import { Cpu } from '../../src/x86/cpu.ts'
import { MachineMemory } from '../../src/x86/machine_memory.ts'
import { Translator } from '../../src/x86/translator/translator.ts'
import { type IsaCase, type Outcome, VECTOR_HANG } from './case.ts'
import { runs } from './compare.ts'
import * as map from './memory_map.ts'
import { normalise } from './normalise.ts'
import {
	FX_FCW,
	FX_FSW,
	FX_FTW,
	FX_MXCSR,
	FX_ST,
	FX_XMM,
	STATE_FX,
	STATE_GPR,
	STATE_RFLAGS,
	STATE_RIP,
	STATE_SELECTORS,
	STATE_SIZE,
	TF,
	viewOf,
} from './state.ts'

const P = 1
const W = 2
const U = 4
const A = 0x20
const D = 0x40
const FRAMES = 64
/** Turns of the engine before a case counts as hanging. */
const STEPS = 100_000
const RUN_BUDGET = 1000
const RUNS = 500
/** Of 'translate-all', in turn. */
const BUDGETS = [1, 7, 2, 30, 1, 100, 13]
/** Of its turns, one in so many finds some page of the code in another frame. */
const REMAP = 5
const PAGE = 4096
const DEBUG = 1
const BREAKPOINT = 3
const OVERFLOW = 4
const GENERAL_PROTECTION = 13
const PAGE_FAULT = 14
const ERROR_IDT = 2
const ERROR_FETCH = 16
const CS = 1
/** Every random number of the machine: as a host gives it, signed. */
export const RANDOM32 = -0x6543_2110

/**
 * The tier: step() once a turn; run() as it comes; run() after the case's code has been translated; run() with small budgets, and whatever it stops at
 * translated too, so that every loop's head becomes an entry point and is left and entered again in the middle, and pages of the code go from one frame to another.
 */
export const ENGINES = ['step', 'run', 'translate', 'translate-all'] as const
export type Engine = (typeof ENGINES)[number]

export class IsaMachine {
	private readonly machine: MachineMemory
	private readonly cpu: Cpu
	private readonly engine: Engine
	private readonly translator: Translator
	private readonly bytes: Uint8Array
	private readonly view: DataView
	private nextFrame = 1
	private readonly root: number
	/** Where each page of the code is, and where it can be besides. */
	private readonly codeFrames: number[]
	private readonly otherFrames: number[]
	private readonly code: Uint8Array
	private codeIsWritable = false
	/** The data region. */
	readonly data: Uint8Array

	constructor(core: WebAssembly.Module, engine: Engine = 'step') {
		this.machine = new MachineMemory({ ramFrames: FRAMES, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
		this.engine = engine
		this.bytes = this.machine.u8
		this.view = new DataView(this.machine.memory.buffer)
		this.root = this.takeFrames(1)
		const codeFrame = this.takeFrames(map.CODE_SIZE / PAGE)
		const otherFrame = this.takeFrames(map.CODE_SIZE / PAGE)
		const dataFrame = this.takeFrames(map.DATA_SIZE / PAGE)
		this.codeFrames = Array.from({ length: map.CODE_SIZE / PAGE }, (_, i) => codeFrame + i)
		this.otherFrames = this.codeFrames.map((_, i) => otherFrame + i)
		for (const [i, frame] of this.codeFrames.entries()) this.map(map.CODE_VA + i * PAGE, frame, P | U | A)
		for (const va of [map.DATA_VA, map.HIGH_VA]) {
			for (let at = 0; at < map.DATA_SIZE; at += PAGE) {
				const writable = at < map.READ_ONLY_OFFSET
				this.map(va + at, dataFrame + at / PAGE, P | U | A | D | (writable ? W : 0), true)
			}
		}
		this.code = this.frames(codeFrame, map.CODE_SIZE)
		this.data = this.frames(dataFrame, map.DATA_SIZE)
		this.code.fill(map.FILL)
		this.cpu = Cpu.instantiate(this.machine, 0, core, {
			readTsc: () => 0,
			random32: () => RANDOM32,
			protectedWrite: () => false,
			undefinedInstruction: () => undefined,
		})
		this.translator = new Translator(this.cpu, { maxDrops: Number.POSITIVE_INFINITY })
		this.cpu.setKernelRoot(this.root)
		this.cpu.setUserRoot(this.root)
		this.cpu.setKernelMode(false)
		this.cpu.setField(L.CPU_CR4, 0x600)
		this.installDescriptors()
	}

	private takeFrames(count: number): number {
		this.nextFrame += count
		return this.nextFrame - count
	}

	private frames(first: number, size: number): Uint8Array {
		const at = this.machine.frameAddress(first)
		return this.bytes.subarray(at, at + size)
	}

	/** Maps one page through four levels; data pages are not executable. */
	private map(va: number, frame: number, flags: number, noExecute = false): void {
		let table = this.root
		for (const shift of [39, 30, 21]) {
			const entry = this.machine.frameAddress(table) + (Math.floor(va / 2 ** shift) % 512) * 8
			if (!(this.view.getUint32(entry, true) & P)) this.view.setUint32(entry, (this.takeFrames(1) << 12) | P | W | U | A, true)
			table = this.view.getUint32(entry, true) >>> 12
		}
		const entry = this.machine.frameAddress(table) + (Math.floor(va / PAGE) % 512) * 8
		this.view.setUint32(entry, (frame << 12) | flags, true)
		this.view.setUint32(entry + 4, noExecute ? 0x8000_0000 : 0, true)
	}

	/** The GDT of Linux as user mode sees it: entries 1 to 6, and GS of compatibility code in entry 12. */
	private installDescriptors(): void {
		const frame = this.takeFrames(1)
		const at = this.machine.frameAddress(frame)
		const base = map.GS32_BASE
		const entries: readonly (readonly [index: number, low: number, high: number])[] = [
			[1, 0x0000ffff, 0x00cf9b00],
			[2, 0x0000ffff, 0x00af9b00],
			[3, 0x0000ffff, 0x00cf9300],
			[map.USER_CS32 >> 3, 0x0000ffff, 0x00cffb00],
			[map.USER_DS >> 3, 0x0000ffff, 0x00cff300],
			[map.USER_CS64 >> 3, 0x0000ffff, 0x00affb00],
			[map.GS32_SELECTOR >> 3, ((base & 0xffff) << 16) | 0xffff, (base & 0xff00_0000) | ((base >> 16) & 0xff) | 0x00cff300],
		]
		for (const [index, low, high] of entries) {
			this.view.setUint32(at + index * 8, low, true)
			this.view.setUint32(at + index * 8 + 4, high, true)
		}
		this.cpu.setField(L.CPU_GDT_FRAMES, at)
		this.cpu.setField(L.CPU_GDT_LIMIT, 16 * 8 - 1)
	}

	/** Runs one case. The outcome is normalised; its `memory` is left empty: the data region is in `data`. */
	run(test: IsaCase): Outcome {
		this.data.set(map.BACKGROUND)
		for (const { offset, bytes } of test.memory) this.data.set(bytes, offset)
		this.placeCode(test)
		this.load(test.state)
		this.cpu.setField(L.CPU_EXC_ERROR, 0)
		const singleStep = (viewOf(test.state).getUint32(STATE_RFLAGS, true) & TF) !== 0
		const outcome = this.outcomeOf(test, this.runToExit(singleStep), singleStep)
		this.clearCode(test)
		return normalise(test, outcome)
	}

	/** Bytes of WebAssembly that the translator makes of a case's code. */
	translatedBytes(test: IsaCase): number {
		this.placeCode(test)
		this.load(test.state)
		const before = this.translator.statistics.bytes
		const isTranslated = this.translator.translateHere()
		this.clearCode(test)
		if (!isTranslated) throw new Error(`the translator refuses ${Buffer.from(test.code).toString('hex')}`)
		return this.translator.statistics.bytes - before
	}

	/** What a case changed in the data region, for outcomes that are kept. */
	changes(test: IsaCase): Outcome['memory'] {
		const before = map.BACKGROUND.slice()
		for (const { offset, bytes } of test.memory) before.set(bytes, offset)
		return runs(before, this.data)
	}

	/** The page's code goes to another frame. What was translated of that one is dropped only where it holds something else. */
	private remap(page: number): void {
		const { machine, cpu, codeFrames, otherFrames } = this
		const [from, to] = [codeFrames[page]!, otherFrames[page]!]
		if (Buffer.compare(machine.framePage(from), machine.framePage(to)) !== 0) {
			machine.framePage(to).set(machine.framePage(from))
			cpu.invalidateFrame(to)
		}
		codeFrames[page] = to
		otherFrames[page] = from
		this.map(map.CODE_VA + page * PAGE, to, P | U | A | (this.codeIsWritable ? W | D : 0))
		cpu.flushPage(map.CODE_VA + page * PAGE)
	}

	private codeOffset(test: IsaCase): number {
		return viewOf(test.state).getUint32(STATE_RIP, true) - map.CODE_VA
	}
	private placeCode(test: IsaCase): void {
		// `code` is where it was at first.
		for (const [page, frame] of this.codeFrames.entries()) if (frame > this.otherFrames[page]!) this.remap(page)
		const writable = test.writableCode === true
		if (writable !== this.codeIsWritable) {
			for (const [i, frame] of this.codeFrames.entries()) this.map(map.CODE_VA + i * PAGE, frame, P | U | A | (writable ? W | D : 0))
			this.cpu.flushTlb()
			this.codeIsWritable = writable
		}
		this.code.set(test.code, this.codeOffset(test))
		for (const frame of this.codeFrames) this.cpu.invalidateFrame(frame)
	}
	private clearCode(test: IsaCase): void {
		if (this.codeIsWritable) {
			this.code.fill(map.FILL)
			return
		}
		const at = this.codeOffset(test)
		this.code.fill(map.FILL, at, at + test.code.length)
	}

	/** With TF set a case is one instruction long; whether our processor traps by itself is not what's tested. */
	private runToExit(singleStep: boolean): number {
		if (singleStep) return this.cpu.step()
		if (this.engine === 'step') return this.repeat(STEPS, () => this.cpu.step())
		if (this.engine !== 'run') this.translator.translateHere()
		if (this.engine !== 'translate-all') return this.repeat(RUNS, () => this.cpu.run(RUN_BUDGET))
		let turn = 0
		return this.repeat(STEPS, () => {
			const exit = this.cpu.run(BUDGETS[turn++ % BUDGETS.length]!)
			if (exit === L.EXIT_BUDGET) this.translator.translateHere()
			if (turn % REMAP === 0) this.remap((turn / REMAP) % this.codeFrames.length)
			return exit
		})
	}

	/** Until something else than a spent budget ends it. */
	private repeat(limit: number, turn: () => number): number {
		for (let i = 0; i < limit; i++) {
			const exit = turn()
			if (exit !== L.EXIT_BUDGET) return exit
		}
		return L.EXIT_BUDGET
	}

	/** The case's one instruction has retired, and what it went to can't be fetched. */
	private isNextFetch(test: IsaCase): boolean {
		const { cpu } = this
		const isFetch = cpu.field(L.CPU_EXC_VECTOR) === PAGE_FAULT && (cpu.field(L.CPU_EXC_ERROR) & ERROR_FETCH) !== 0
		return isFetch && cpu.rip === cpu.wide(L.CPU_CR2) && cpu.rip !== map.CODE_VA + this.codeOffset(test)
	}

	private load(state: Uint8Array): void {
		const { cpu } = this
		const at = cpu.state
		const from = viewOf(state)
		const selector = (i: number) => from.getUint16(STATE_SELECTORS + i * 2, true)
		const compat = selector(CS) === map.USER_CS32
		if (!cpu.loadCodeSegment(selector(CS))) throw new Error(`the processor refuses CS ${selector(CS).toString(16)}`)
		for (let i = 0; i < 6; i++) {
			if (i === CS) continue
			if (cpu.selector(i) !== selector(i) && !cpu.loadSegment(i, selector(i)) && !(i === 2 && selector(i) === 0))
				throw new Error(`the processor refuses selector ${selector(i).toString(16)} in segment register ${i}`)
		}
		if (!compat) {
			cpu.setWide(L.SLOT_FS_BASE, map.FS_BASE)
			cpu.setWide(L.SLOT_GS_BASE, map.GS_BASE)
		}
		this.bytes.set(state.subarray(STATE_GPR, STATE_GPR + 128), at + L.CPU_GPR)
		cpu.rflags = from.getUint32(STATE_RFLAGS, true) & ~TF
		this.bytes.set(state.subarray(STATE_RIP, STATE_RIP + 8), at + L.CPU_RIP)
		this.loadFx(from, state)
	}

	private loadFx(from: DataView, state: Uint8Array): void {
		const { view, cpu } = this
		const at = cpu.state
		view.setUint16(at + L.CPU_FCW, from.getUint16(STATE_FX + FX_FCW, true), true)
		view.setUint16(at + L.CPU_FSW, from.getUint16(STATE_FX + FX_FSW, true), true)
		view.setUint8(at + L.CPU_FTW, from.getUint8(STATE_FX + FX_FTW))
		view.setUint32(at + L.CPU_MXCSR, from.getUint32(STATE_FX + FX_MXCSR, true), true)
		const top = topOf(from.getUint16(STATE_FX + FX_FSW, true))
		for (let i = 0; i < 8; i++) {
			const slot = STATE_FX + FX_ST + i * 16
			this.bytes.set(state.subarray(slot, slot + 10), at + L.CPU_X87 + ((top + i) & 7) * 16)
		}
		this.bytes.set(state.subarray(STATE_FX + FX_XMM), at + L.CPU_XMM)
	}

	private save(): Uint8Array {
		const { cpu, view, bytes } = this
		const at = cpu.state
		const state = new Uint8Array(STATE_SIZE)
		const to = viewOf(state)
		state.set(bytes.subarray(at + L.CPU_GPR, at + L.CPU_GPR + 128), STATE_GPR)
		to.setUint32(STATE_RFLAGS, cpu.rflags, true)
		state.set(bytes.subarray(at + L.CPU_RIP, at + L.CPU_RIP + 8), STATE_RIP)
		for (let i = 0; i < 6; i++) to.setUint16(STATE_SELECTORS + i * 2, cpu.selector(i), true)
		to.setUint16(STATE_FX + FX_FCW, view.getUint16(at + L.CPU_FCW, true), true)
		to.setUint16(STATE_FX + FX_FSW, view.getUint16(at + L.CPU_FSW, true), true)
		to.setUint8(STATE_FX + FX_FTW, view.getUint8(at + L.CPU_FTW))
		to.setUint32(STATE_FX + FX_MXCSR, view.getUint32(at + L.CPU_MXCSR, true), true)
		const top = topOf(view.getUint16(at + L.CPU_FSW, true))
		for (let i = 0; i < 8; i++) {
			const slot = at + L.CPU_X87 + ((top + i) & 7) * 16
			state.set(bytes.subarray(slot, slot + 10), STATE_FX + FX_ST + i * 16)
		}
		state.set(bytes.subarray(at + L.CPU_XMM, at + L.CPU_XMM + 256), STATE_FX + FX_XMM)
		return state
	}

	/** The exception that a processor with Linux's IDT would have raised: INT n is refused but for 3 and 4, privileged instructions are too. */
	private outcomeOf(test: IsaCase, exit: number, singleStep: boolean): Outcome {
		const { cpu } = this
		const state = this.save()
		const refuse = (error: number, back: number): Outcome => {
			const view = viewOf(state)
			view.setBigUint64(STATE_RIP, view.getBigUint64(STATE_RIP, true) - BigInt(back), true)
			return { vector: GENERAL_PROTECTION, error, cr2: 0n, state, memory: [] }
		}
		const vector = cpu.field(L.CPU_EXC_VECTOR)
		switch (exit) {
			case L.EXIT_EXCEPTION: {
				if (singleStep && this.isNextFetch(test)) return { vector: DEBUG, error: 0, cr2: 0n, state, memory: [] }
				const cr2 = vector === PAGE_FAULT ? this.view.getBigUint64(cpu.state + L.CPU_CR2, true) : 0n
				return { vector, error: cpu.field(L.CPU_EXC_ERROR), cr2, state, memory: [] }
			}
			case L.EXIT_SOFTINT:
				if (vector === BREAKPOINT || vector === OVERFLOW) return { vector, error: 0, cr2: 0n, state, memory: [] }
				return refuse(vector * 8 + ERROR_IDT, cpu.field(L.CPU_INSN_LENGTH))
			case L.EXIT_PRIVILEGED:
				return refuse(0, 0)
			default:
				if (singleStep) return { vector: DEBUG, error: 0, cr2: 0n, state, memory: [] }
				return { vector: VECTOR_HANG, error: exit, cr2: 0n, state, memory: [] }
		}
	}
}

function topOf(statusWord: number): number {
	return (statusWord >> 11) & 7
}
