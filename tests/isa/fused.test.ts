// The interpreter makes one operation of a comparison and the jump behind it (src/x86/opcodes/fast.ts); step() does one after the other.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RAX, RCX, RDI } from '../../src/x86/cpu.ts'
import { MachineMemory } from '../../src/x86/machine_memory.ts'
import { loadCore } from './core.ts'

const PAGE = 4096
const CODE_VA = 0x40_0000
const DATA_VA = CODE_VA + PAGE
const CODE_FRAME = 8
const SIZES = [1, 2, 4, 8]
const FORMS = ['RR', 'RI', 'RM', 'MR', 'MI'] as const
type Form = (typeof FORMS)[number]
const UD2 = [0x0f, 0x0b]
const STATUS = 0x8d5

let core: WebAssembly.Module
before(async () => {
	core = await loadCore()
})

/** CMP or TEST of RAX or (%rdi), and RCX or a constant. TEST has no form of its own for a memory operand on the right. */
function comparison(name: 'CMP' | 'TEST', form: Form, size: number, constant: bigint): number[] {
	const prefixes = size === 2 ? [0x66] : size === 8 ? [0x48] : []
	const wide = size === 1 ? 0 : 1
	const isMemory = form.includes('M')
	const modrm = (reg: number) => (isMemory ? 0x47 : 0xc0) | (reg << 3)
	const place = (reg: number) => (isMemory ? [modrm(reg), 8] : [modrm(reg)])
	if (form === 'RI' || form === 'MI') {
		const bytes = new Uint8Array(BigInt64Array.of(constant).buffer).subarray(0, Math.min(size, 4))
		return [...prefixes, name === 'CMP' ? 0x80 + wide : 0xf6 + wide, ...place(name === 'CMP' ? 7 : 0), ...bytes]
	}
	const opcode = name === 'TEST' ? 0x84 : form === 'RM' ? 0x3a : 0x38
	return [...prefixes, opcode + wide, ...place(form === 'RM' ? RAX : RCX)]
}

class Machine {
	readonly cpu: Cpu
	private readonly machine = new MachineMemory({ ramFrames: 16, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	private readonly view = new DataView(this.machine.memory.buffer)

	constructor() {
		const entry = (table: number, index: number, frame: number) =>
			this.view.setBigUint64(this.machine.frameAddress(table) + index * 8, BigInt(frame * PAGE + 0x67), true)
		for (const [table, index] of [1, 2, 3].map((level) => [level, level === 3 ? 2 : 0] as const)) entry(table, index, table + 1)
		entry(4, 0, CODE_FRAME)
		entry(4, 1, CODE_FRAME + 1)
		this.cpu = Cpu.instantiate(this.machine, 0, core, {
			readTsc: () => 0,
			random32: () => 0,
			protectedWrite: () => false,
			undefinedInstruction() {},
		})
		this.cpu.setKernelRoot(1)
		this.cpu.setUserRoot(1)
		this.cpu.setKernelMode(false)
		this.cpu.setField(L.CPU_CODE64, 1)
	}

	code(bytes: readonly number[]): void {
		this.cpu.invalidateFrame(CODE_FRAME)
		this.machine.u8.set(bytes, this.machine.frameAddress(CODE_FRAME))
	}

	/** Where it stops, and the status flags. */
	outcome(x: bigint, y: bigint, run: () => void): string {
		const { cpu } = this
		this.view.setBigInt64(this.machine.frameAddress(CODE_FRAME + 1) + 8, x, true)
		cpu.set(RAX, Number(x))
		cpu.set(RCX, Number(y))
		cpu.set(RDI, DATA_VA)
		cpu.rip = CODE_VA
		cpu.rflags = 0x2
		run()
		return `${cpu.rip.toString(16)} ${(cpu.rflags & STATUS).toString(16)}`
	}
}

// Numbers whose differences carry and overflow at each size, exact as doubles.
const VALUES = [0n, 1n, -1n, 0x7fn, 0x80n, 0x7fffn, 0x8000n, 0x7fff_ffffn, 0x8000_0000n, -0x8000_0000n, -(2n ** 63n)]

for (const name of ['CMP', 'TEST'] as const)
	test(`${name} and the jump behind it do together what they do one after the other`, () => {
		const machine = new Machine()
		const forms = FORMS.filter((form) => name === 'CMP' || form !== 'RM')
		for (const form of forms)
			for (const size of SIZES)
				for (const constant of form.endsWith('I') ? VALUES : [0n])
					for (let condition = 0; condition < 16; condition++) {
						machine.code([...comparison(name, form, size, constant), 0x70 + condition, 2, ...UD2, ...UD2])
						for (const x of VALUES)
							for (const y of form.endsWith('I') ? [0n] : VALUES) {
								const together = machine.outcome(x, y, () => machine.cpu.run(100))
								const apart = machine.outcome(x, y, () => {
									machine.cpu.step()
									machine.cpu.step()
								})
								if (together !== apart)
									assert.equal(together, apart, `${form} ${size * 8} bits, condition ${condition}, ${x} and ${y}, constant ${constant}`)
							}
					}
	})
