// When instructions that go from SSE to MMX make the x87's registers MMX's, and what they raise first: as AMD's processors do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXACT, type IsaCase, type Outcome } from './case.ts'
import { loadCore } from './core.ts'
import { ENGINES, IsaMachine } from './machine.ts'
import { DATA_VA } from './memory_map.ts'
import { baseState, FX_FCW, FX_FSW, FX_FTW, FX_MXCSR, FX_ST, FX_XMM, STATE_FX, setGpr, viewOf } from './state.ts'

const BREAKPOINT = 3
const PAGE_FAULT = 14
const X87_ERROR = 16
const SIMD_ERROR = 19

const TO_MMX = { CVTTPS2PI: [0x0f, 0x2c], CVTPS2PI: [0x0f, 0x2d], CVTTPD2PI: [0x66, 0x0f, 0x2c], CVTPD2PI: [0x66, 0x0f, 0x2d] }
const FROM_MMX = { CVTPI2PS: [0x0f, 0x2a], CVTPI2PD: [0x66, 0x0f, 0x2a] }
const ALL: Readonly<Record<string, readonly number[]>> = { ...TO_MMX, ...FROM_MMX }
/** xmm2, xmm1; mm2, mm1; the like from memory at (%rax). */
const REGISTERS = 0xd1
const MEMORY = 0x10

const TOP = 5
const FULL = 0x0f
const MASKED = 0x1f80
const UNMASKED = 0
const EXPONENT_OF_MM2 = STATE_FX + FX_ST + ((2 - TOP) & 7) * 16 + 8

interface Setting {
	readonly modrm: number
	readonly mxcsr?: number
	/** An x87 exception waits. */
	readonly pending?: boolean
	readonly address?: number
}

const SOURCE_OFFSET = 0x1000

/** Neither two numbers of either width nor two integers are converted exactly. */
function inexact(name: string): Uint8Array {
	const bytes = new Uint8Array(16)
	const view = viewOf(bytes)
	for (let i = 0; i < 2; i++) {
		if (/PS2/.test(name)) view.setFloat32(i * 4, 1.5 + i, true)
		else if (/PD2/.test(name)) view.setFloat64(i * 8, 1.5 + i, true)
		else view.setInt32(i * 4, 0x7fffffff - 2 * i, true)
	}
	return bytes
}

function converting(name: string, { modrm, mxcsr = MASKED, pending = false, address = DATA_VA + SOURCE_OFFSET }: Setting): IsaCase {
	const state = baseState(0, false)
	const view = viewOf(state)
	view.setUint16(STATE_FX + FX_FCW, pending ? 0x37e : 0x37f, true)
	view.setUint16(STATE_FX + FX_FSW, (TOP << 11) | (pending ? 0x8081 : 0), true)
	view.setUint8(STATE_FX + FX_FTW, FULL)
	view.setUint32(STATE_FX + FX_MXCSR, mxcsr, true)
	const bytes = inexact(name)
	state.set(bytes, STATE_FX + FX_XMM + 16)
	state.set(bytes.subarray(0, 8), STATE_FX + FX_ST + ((1 - TOP) & 7) * 16)
	setGpr(view, 0, BigInt(address))
	const code = Uint8Array.from([...(ALL[name] as readonly number[]), modrm])
	return {
		label: name,
		code,
		base: 0,
		compat: false,
		state,
		memory: [{ offset: SOURCE_OFFSET, bytes }],
		undefinedFlags: 0,
		undefinedStatus: 0,
		tolerance: EXACT,
	}
}

/** Whether the registers have become MMX's; they must have in whole or not at all. */
function isMmx({ state }: Outcome): boolean {
	const view = viewOf(state)
	const top = (view.getUint16(STATE_FX + FX_FSW, true) >> 11) & 7
	const tags = view.getUint8(STATE_FX + FX_FTW)
	assert.ok(top === 0 ? tags === 0xff : top === TOP && tags === FULL, `TOP ${top}, tags ${tags.toString(16)}`)
	return top === 0
}

async function everywhere(
	names: object,
	setting: Setting,
	check: (outcome: Outcome, where: string, before: IsaCase) => void,
): Promise<void> {
	const core = await loadCore()
	for (const engine of ENGINES)
		for (const name of Object.keys(names)) {
			const before = converting(name, setting)
			check(new IsaMachine(core, engine).run(before), `${name}, ${engine}`, before)
		}
}

for (const [form, modrm] of [
	['a register', REGISTERS],
	['memory', MEMORY],
] as const)
	test(`a conversion of ${form} to MMX raises #XM with the registers already MMX's, and none changed`, () =>
		everywhere(TO_MMX, { modrm, mxcsr: UNMASKED }, (outcome, where, before) => {
			assert.equal(outcome.vector, SIMD_ERROR, where)
			assert.ok(isMmx(outcome), where)
			const exponent = viewOf(outcome.state).getUint16(STATE_FX + FX_ST + 2 * 16 + 8, true)
			assert.equal(exponent, viewOf(before.state).getUint16(EXPONENT_OF_MM2, true), where)
		}))

test("CVTPI2PS of an MMX register raises #XM with the registers already MMX's", () =>
	everywhere({ CVTPI2PS: 0 }, { modrm: REGISTERS, mxcsr: UNMASKED }, (outcome, where) => {
		assert.equal(outcome.vector, SIMD_ERROR, where)
		assert.ok(isMmx(outcome), where)
	}))

test('CVTPI2PS and CVTPI2PD of memory leave the x87 alone, even where an exception of it waits', async () => {
	for (const pending of [false, true])
		await everywhere(FROM_MMX, { modrm: MEMORY, pending }, (outcome, where) => {
			assert.equal(outcome.vector, BREAKPOINT, where)
			assert.ok(!isMmx(outcome), where)
		})
	await everywhere({ CVTPI2PS: 0 }, { modrm: MEMORY, mxcsr: UNMASKED, pending: true }, (outcome, where) => {
		assert.equal(outcome.vector, SIMD_ERROR, where)
		assert.ok(!isMmx(outcome), where)
	})
})

test("a waiting x87 exception comes before a page fault, and that before the registers are MMX's", async () => {
	for (const pending of [true, false])
		await everywhere(TO_MMX, { modrm: MEMORY, mxcsr: UNMASKED, pending, address: 0 }, (outcome, where) => {
			assert.equal(outcome.vector, pending ? X87_ERROR : PAGE_FAULT, where)
			assert.ok(!isMmx(outcome), where)
		})
	await everywhere(FROM_MMX, { modrm: MEMORY, pending: true, address: 0 }, (outcome, where) =>
		assert.equal(outcome.vector, PAGE_FAULT, where),
	)
})
