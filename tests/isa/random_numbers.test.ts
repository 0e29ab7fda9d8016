import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXACT, type IsaCase } from './case.ts'
import { loadCore } from './core.ts'
import { ENGINES, IsaMachine, RANDOM32 } from './machine.ts'
import { baseState, STATE_GPR, STATE_RFLAGS, setGpr, viewOf } from './state.ts'

const UNDEFINED = 6
const BREAKPOINT = 3
const RCX = 1
const BEFORE = 0x1111_2222_3333_4444n
const STATUS = 0x8d5
const CARRY = 1
const LOW = BigInt(RANDOM32 >>> 0)

function reading(code: readonly number[], compat = false): IsaCase {
	const state = baseState(0, compat)
	const view = viewOf(state)
	setGpr(view, RCX, compat ? BEFORE & 0xffff_ffffn : BEFORE)
	view.setUint32(STATE_RFLAGS, view.getUint32(STATE_RFLAGS, true) | (STATUS & ~CARRY), true)
	const common = { label: '', base: 0, memory: [], undefinedFlags: 0, undefinedStatus: 0 }
	return { ...common, tolerance: EXACT, compat, state, code: Uint8Array.from([...code, 0xcc]) }
}

/** Of RDRAND and of RDSEED: ModRM of the form with ECX. */
for (const [name, modrm] of [
	['RDRAND', 0xf1],
	['RDSEED', 0xf9],
] as const) {
	test(`${name} fills its operand, sets CF and clears the other status flags`, async () => {
		const core = await loadCore()
		for (const engine of ENGINES)
			for (const [prefix, expected] of [
				[[0x48], (LOW << 32n) | LOW],
				[[], LOW],
				[[0x66], (BEFORE & ~0xffffn) | (LOW & 0xffffn)],
			] as const) {
				const { vector, state } = new IsaMachine(core, engine).run(reading([...prefix, 0x0f, 0xc7, modrm]))
				assert.equal(vector, BREAKPOINT, engine)
				assert.equal(viewOf(state).getBigUint64(STATE_GPR + RCX * 8, true), expected, `${engine}, prefix ${prefix}`)
				assert.equal(viewOf(state).getUint32(STATE_RFLAGS, true) & STATUS, CARRY, engine)
			}
		const { state } = new IsaMachine(core, 'run').run(reading([0x0f, 0xc7, modrm], true))
		assert.equal(viewOf(state).getBigUint64(STATE_GPR + RCX * 8, true) & 0xffff_ffffn, LOW, 'in compatibility mode')
	})

	test(`${name} is undefined with LOCK and with repeat prefixes`, async () => {
		const machine = new IsaMachine(await loadCore())
		for (const prefix of [0xf0, 0xf2, 0xf3])
			assert.equal(machine.run(reading([prefix, 0x0f, 0xc7, modrm])).vector, UNDEFINED, prefix.toString(16))
	})
}
