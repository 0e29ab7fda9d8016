import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXACT, type IsaCase, type Outcome } from './case.ts'
import { loadCore } from './core.ts'
import { ENGINES, IsaMachine } from './machine.ts'
import { DATA_VA, GS_BASE } from './memory_map.ts'
import { baseState, setGpr, viewOf } from './state.ts'

const PAGE_FAULT = 14
const GENERAL_PROTECTION = 13
/** The offset is in RAX, RBX, RSI and RDI, and follows the opcode of MOVABS; RCX is 8. */
const INSTRUCTIONS = {
	'mov %gs:(%rax),%rcx': [0x65, 0x48, 0x8b, 0x08],
	'movabs %gs:offset,%rax': [0x65, 0x48, 0xa1],
	'movsb %gs:(%rsi),(%rdi)': [0x65, 0xa4],
	'rep movsb %gs:(%rsi),(%rdi)': [0xf3, 0x65, 0xa4],
	'lodsq %gs:(%rsi)': [0x65, 0x48, 0xad],
	'rep cmpsb %gs:(%rsi),(%rdi)': [0xf3, 0x65, 0xa6],
	'bt %cx,%gs:(%rax)': [0x65, 0x66, 0x0f, 0xa3, 0x08],
	'xlat %gs:(%rbx)': [0x65, 0xd7],
	'maskmovdqu %xmm1,%xmm0,%gs:(%rdi)': [0x65, 0x66, 0x0f, 0xf7, 0xc1],
	'maskmovq %mm1,%mm0,%gs:(%rdi)': [0x65, 0x0f, 0xf7, 0xc1],
}
const STACK_FAULT = 12
/** Its operand, and its stack where the case says so, are not canonical. */
const POP = [0x64, 0x66, 0x8f, 0x00]
const MOVABS_OPCODE = 0xa1
const XLAT_OPCODE = 0xd7

function reading(code: readonly number[], offset: bigint): IsaCase {
	const state = baseState(0, false)
	const bytes = new Uint8Array(8)
	viewOf(bytes).setBigUint64(0, BigInt.asUintN(64, offset), true)
	for (const register of [0, 3, 6, 7]) setGpr(viewOf(state), register, offset)
	setGpr(viewOf(state), 1, 8n)
	if (code.at(-1) === XLAT_OPCODE) setGpr(viewOf(state), 0, 0n)
	const whole = code.at(-1) === MOVABS_OPCODE ? [...code, ...bytes] : code
	return {
		label: '',
		code: Uint8Array.from(whole),
		base: 0,
		compat: false,
		state,
		memory: [],
		undefinedFlags: 0,
		undefinedStatus: 0,
		tolerance: EXACT,
	}
}

test('an offset that is not canonical is #GP, even where a segment base makes a canonical address of it', async () => {
	const core = await loadCore()
	for (const engine of ENGINES)
		for (const [name, code] of Object.entries(INSTRUCTIONS)) {
			const machine = new IsaMachine(core, engine)
			assert.equal(machine.run(reading(code, -0x8000_0000_1000n)).vector, GENERAL_PROTECTION, `${name}, ${engine}`)
			assert.equal(machine.run(reading(code, -BigInt(GS_BASE) - 0x1000n)).vector, PAGE_FAULT, `${name}, ${engine}`)
		}
})

test('POP to an offset that is not canonical reads the stack first', async () => {
	const core = await loadCore()
	const popping = (stack: bigint) => {
		const test = reading(POP, -0x8000_0000_1000n)
		setGpr(viewOf(test.state), 4, stack)
		return test
	}
	for (const engine of ENGINES) {
		const machine = new IsaMachine(core, engine)
		assert.equal(machine.run(popping(BigInt(DATA_VA))).vector, GENERAL_PROTECTION, engine)
		assert.equal(machine.run(popping(0x1234_5678_9abc_def0n)).vector, STACK_FAULT, engine)
		assert.deepEqual([PAGE_FAULT, BigInt(DATA_VA) - 0x1000n], faultOf(machine.run(popping(BigInt(DATA_VA) - 0x1000n))), engine)
	}
})

const faultOf = ({ vector, cr2 }: Outcome) => [vector, cr2]
