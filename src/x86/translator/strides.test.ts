import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as L from '../core/layout.ts'
import { discover } from './discover.ts'
import type { Instruction } from './instruction.ts'
import { Strides } from './strides.ts'
import { Shape } from './structure.ts'

const RAX = 0
const RCX = 8
const RDX = 16
const RSI = 48

const PLAIN = {
	off: 0,
	length: 1,
	size: 8,
	reg: 0,
	rm: 0,
	base: L.SLOT_ZERO,
	index: L.SLOT_ZERO,
	seg: L.SLOT_ZERO,
	scale: 0,
	disp: 0,
	imm: 0n,
	cc: 5,
	flags: 0,
}
const load = (of: Partial<Instruction>) => ({ ...PLAIN, op: 'MOV', opcode: 0x8b, memory: true, reg: RAX, ...of })
const move = (to: number, from: number) => ({ ...PLAIN, op: 'MOV', opcode: 0x8b, memory: false, reg: to, rm: from })
const add = (to: number, imm: bigint) => ({ ...PLAIN, op: 'ADD', opcode: 0x83, memory: false, rm: to, imm })
const byteTo = (to: number) => ({ ...PLAIN, op: 'MOVZX_B', opcode: 0xb6, memory: true, reg: to, base: RSI })

/** Whether the first instruction is steady in a loop of these. */
function isSteady(...lines: object[]): boolean {
	const round = [...lines, { ...PLAIN, op: 'JCC', memory: false }, { ...PLAIN, op: 'RET', memory: false }]
	const instructions = round.map((line, off) => ({ ...line, off }) as unknown as Instruction)
	const decode = (offset: number) => instructions[offset]
	const shape = new Shape(discover(0, { decode, look: decode, isEntry: () => true })!)
	const first = instructions[0]!
	return new Strides(shape).isSteady(first, first.size)
}

test('an address that goes on by small steps is steady', () => {
	assert.equal(isSteady(load({ base: RSI }), add(RSI, 8n)), true)
	assert.equal(isSteady(load({ base: RCX, index: RDX, scale: 3 }), add(RDX, 1n)), true)
	assert.equal(isSteady(load({ base: RSI }), move(RSI, RDX), add(RDX, 8n)), true)
})

test('an address that was loaded, or goes on by pages, is not', () => {
	assert.equal(isSteady(load({ base: RAX }), add(RSI, 8n)), false)
	assert.equal(isSteady(load({ base: RSI }), add(RSI, 4096n)), false)
})

test('steps that are no multiple of the size make an address unsteady', () => {
	assert.equal(isSteady(load({ base: RSI, size: 4 }), add(RSI, 4n)), true)
	assert.equal(isSteady(load({ base: RSI, size: 8 }), add(RSI, 4n)), false)
})

test('a table indexed by a byte is steady unless it is known to lie in two pages', () => {
	assert.equal(isSteady(load({ base: RDX, index: RCX, scale: 3 }), byteTo(RCX)), true)
	assert.equal(isSteady(load({ index: RCX, scale: 3, disp: 0x5000 }), byteTo(RCX)), true)
	assert.equal(isSteady(load({ index: RCX, scale: 3, disp: 0x5900 }), byteTo(RCX)), false)
})

test('what is in no loop is not steady', () => {
	const instructions = [load({ base: RSI }), { ...PLAIN, op: 'RET', memory: false }].map(
		(line, off) => ({ ...line, off }) as unknown as Instruction,
	)
	const decode = (offset: number) => instructions[offset]
	const shape = new Shape(discover(0, { decode, look: decode, isEntry: () => true })!)
	assert.equal(new Strides(shape).isSteady(instructions[0]!, 8), false)
})

test('an operation with a constant changes the register that it names only', () => {
	const adc = { ...PLAIN, op: 'ADC', opcode: 0x83, memory: false, reg: RDX, rm: RCX }
	assert.equal(isSteady(load({ base: RDX }), adc), true)
	assert.equal(isSteady(load({ base: RCX }), adc), false)
})
