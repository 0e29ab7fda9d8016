import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXACT, type IsaCase } from './case.ts'
import { loadCore } from './core.ts'
import { ENGINES, IsaMachine } from './machine.ts'
import { GS_BASE } from './memory_map.ts'
import { baseState, STATE_GPR, viewOf } from './state.ts'

const PAGE_FAULT = 14
const GENERAL_PROTECTION = 13
/** mov %gs:(%rax),%rcx; bt %bx,%gs:(%rax) */
const INSTRUCTIONS = { MOV: [0x65, 0x48, 0x8b, 0x08], BT: [0x65, 0x66, 0x0f, 0xa3, 0x18] }

function reading(code: readonly number[], offset: bigint): IsaCase {
	const state = baseState(0, false)
	viewOf(state).setBigUint64(STATE_GPR, BigInt.asUintN(64, offset), true)
	viewOf(state).setBigUint64(STATE_GPR + 24, 0n, true)
	const exact = { undefinedFlags: 0, undefinedStatus: 0, tolerance: EXACT }
	return { label: '', code: Uint8Array.from(code), base: 0, compat: false, state, memory: [], ...exact } as IsaCase
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
