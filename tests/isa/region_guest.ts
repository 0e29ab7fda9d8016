// A processor with three pages mapped, for tests of translated regions.

import assert from 'node:assert/strict'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RAX, RCX, RSP } from '../../src/x86/cpu.ts'
import { MachineMemory, PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { Translator } from '../../src/x86/translator/translator.ts'

/** Frame 20. */
export const CODE = 0x40_0000
export const LOOP = CODE + 0xf00
/** In the page behind: frame 21. */
export const LEAF = CODE + PAGE_SIZE
/** Frame 22. */
export const STACK = 0x50_0000
const USER = 7

export class RegionGuest {
	readonly machine = new MachineMemory({ ramFrames: 32, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	readonly cpu: Cpu
	readonly translator: Translator
	private readonly view = new DataView(this.machine.memory.buffer)
	private nextFrame = 2

	constructor(core: WebAssembly.Module) {
		const cpu = Cpu.instantiate(this.machine, 0, core, {
			readTsc: () => 0,
			random32: () => 0,
			protectedWrite: () => false,
			undefinedInstruction: () => undefined,
		})
		this.cpu = cpu
		this.translator = new Translator(cpu)
		this.map(CODE, 20)
		this.map(LEAF, 21)
		this.map(STACK, 22)
		cpu.setKernelRoot(1)
		cpu.setUserRoot(1)
		cpu.setKernelMode(false)
		cpu.setField(L.CPU_CODE64, 1)
		cpu.rflags = 0x202
	}

	/** Maps a page writable, with `flags` in the upper half of its entry. */
	map(va: number, frame: number, flags = 0): void {
		let table = 1
		for (const shift of [39, 30, 21]) {
			const entry = this.machine.frameAddress(table) + (Math.floor(va / 2 ** shift) % 512) * 8
			if (this.view.getUint32(entry, true) === 0) this.view.setUint32(entry, (this.nextFrame++ << 12) | USER, true)
			table = this.view.getUint32(entry, true) >>> 12
		}
		const entry = this.machine.frameAddress(table) + (Math.floor(va / PAGE_SIZE) % 512) * 8
		this.view.setUint32(entry, frame === 0 ? 0 : (frame << 12) | USER, true)
		this.view.setUint32(entry + 4, flags, true)
		this.cpu.flushPage(va)
	}

	place(frame: number, offset: number, hex: string): void {
		this.machine.framePage(frame).set(Buffer.from(hex.replaceAll(' ', ''), 'hex'), offset)
		this.cpu.invalidateFrame(frame)
	}

	/** Runs the code at `entry` from RAX = 0 and RCX = 10, once it is translated. Returns RAX at the end. */
	run(entry = LOOP, translated = true): number {
		const { cpu } = this
		cpu.rip = entry
		cpu.set(RAX, 0)
		cpu.set(RCX, 10)
		cpu.set(RSP, STACK + 0x800)
		if (translated) assert.ok(this.translator.translateHere())
		cpu.run(1_000_000)
		return cpu.get(RAX)
	}

	get vector(): number {
		return this.cpu.field(L.CPU_EXC_VECTOR)
	}

	/** Whether the interpreter has come to an offset of a frame. */
	wasInterpreted(frame: number, offset: number): boolean {
		return this.cpu.regions!.isEntry(frame * PAGE_SIZE + offset) !== 0
	}
}
