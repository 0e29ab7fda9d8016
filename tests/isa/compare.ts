import { type IsaCase, LAST_PLACE, type Outcome, type Patch, TWELVE_BITS } from './case.ts'
import { BACKGROUND, CODE_VA, DATA_VA } from './memory_map.ts'
import {
	FX_FCW,
	FX_FSW,
	FX_FTW,
	FX_MXCSR,
	FX_ST,
	FX_XMM,
	STATE_FX,
	STATE_RFLAGS,
	STATE_RIP,
	STATE_SELECTORS,
	STATE_SIZE,
	viewOf,
} from './state.ts'

const GPR_NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ')
const SEGMENT_NAMES = 'es cs ss ds fs gs'.split(' ')
const FLAG_LETTERS: readonly (readonly [bit: number, name: string])[] = [
	[0x800, 'O'],
	[0x400, 'D'],
	[0x80, 'S'],
	[0x40, 'Z'],
	[0x10, 'A'],
	[4, 'P'],
	[1, 'C'],
]

/** The data region after a case: background, the case's patches, then what the outcome changed. */
export function memoryAfter(test: IsaCase, outcome: Outcome, into: Uint8Array): Uint8Array {
	into.set(BACKGROUND)
	for (const patches of [test.memory, outcome.memory]) for (const { offset, bytes } of patches) into.set(bytes, offset)
	return into
}

/** True when both outcomes agree (both normalised; `memory` is the data region after `actual`). */
export function agrees(test: IsaCase, expected: Outcome, actual: Outcome, memory: Uint8Array, scratch: Uint8Array): boolean {
	if (expected.vector !== actual.vector || expected.error !== actual.error || expected.cr2 !== actual.cr2) return false
	if (Buffer.compare(memoryAfter(test, expected, scratch), memory) !== 0) return false
	if (Buffer.compare(expected.state, actual.state) === 0) return true
	return test.tolerance !== 0 && explain(test, expected, actual, memory).length === 0
}

/** One line a difference, 'name: expected <> actual'. Empty when the outcomes agree. */
export function explain(test: IsaCase, expected: Outcome, actual: Outcome, memory: Uint8Array): string[] {
	const lines: string[] = []
	const say = (name: string, want: string, got: string) => {
		if (want !== got) lines.push(`${name}: ${want} <> ${got}`)
	}
	const want = viewOf(expected.state)
	const got = viewOf(actual.state)
	say('exception', exception(expected), exception(actual))
	say('rip', place(want), place(got))
	const u64 = (view: DataView, at: number) => view.getBigUint64(at, true).toString(16)
	const u16 = (view: DataView, at: number) => view.getUint16(at, true).toString(16)
	for (const [i, name] of GPR_NAMES.entries()) say(name, u64(want, i * 8), u64(got, i * 8))
	say('flags', flagText(want), flagText(got))
	for (const [i, name] of SEGMENT_NAMES.entries()) say(name, u16(want, STATE_SELECTORS + i * 2), u16(got, STATE_SELECTORS + i * 2))
	say('fcw', u16(want, STATE_FX + FX_FCW), u16(got, STATE_FX + FX_FCW))
	say('fsw', u16(want, STATE_FX + FX_FSW), u16(got, STATE_FX + FX_FSW))
	say('ftw', u16(want, STATE_FX + FX_FTW), u16(got, STATE_FX + FX_FTW))
	say('mxcsr', want.getUint32(STATE_FX + FX_MXCSR, true).toString(16), got.getUint32(STATE_FX + FX_MXCSR, true).toString(16))
	for (let i = 0; i < 8; i++) compareSt(test, want, got, i, say)
	for (let i = 0; i < 16; i++) compareXmm(test, want, got, i, say)
	const after = memoryAfter(test, expected, new Uint8Array(BACKGROUND.length))
	const wrong = runs(after, memory)
	for (const { offset, bytes } of wrong.slice(0, 4))
		say(`[data+${offset.toString(16)}]`, hex(after.subarray(offset, offset + bytes.length)), hex(bytes))
	if (wrong.length > 4) lines.push(`and ${wrong.length - 4} more places in memory`)
	return lines
}

type Say = (name: string, want: string, got: string) => void

function compareSt(test: IsaCase, want: DataView, got: DataView, i: number, say: Say): void {
	const at = STATE_FX + FX_ST + i * 16
	const number = (view: DataView) => (BigInt(view.getUint16(at + 8, true)) << 64n) | view.getBigUint64(at, true)
	if (test.tolerance === LAST_PLACE && adjacent(number(want), number(got))) return
	say(`st${i}`, number(want).toString(16).padStart(20, '0'), number(got).toString(16).padStart(20, '0'))
}

/** Two 80-bit numbers at most one unit in the last place apart, of the larger one's. */
function adjacent(x: bigint, y: bigint): boolean {
	const exponent = (value: bigint) => Number((value >> 64n) & 0x7fffn) || 1
	const significand = (value: bigint) => value & 0xffff_ffff_ffff_ffffn
	if (x >> 79n !== y >> 79n || exponent(x) === 0x7fff || exponent(y) === 0x7fff) return x === y
	const shift = exponent(x) - exponent(y)
	if (Math.abs(shift) > 1) return false
	const distance = (significand(x) << BigInt(Math.max(shift, 0))) - (significand(y) << BigInt(Math.max(-shift, 0)))
	const unit = shift === 0 ? 1n : 2n
	return distance >= -unit && distance <= unit
}

function compareXmm(test: IsaCase, want: DataView, got: DataView, i: number, say: Say): void {
	const at = STATE_FX + FX_XMM + i * 16
	const text = (view: DataView) =>
		[3, 2, 1, 0]
			.map((lane) =>
				view
					.getUint32(at + lane * 4, true)
					.toString(16)
					.padStart(8, '0'),
			)
			.join('_')
	if (test.tolerance === TWELVE_BITS && [0, 4, 8, 12].every((lane) => close(want, got, at + lane))) return
	say(`xmm${i}`, text(want), text(got))
}

function close(want: DataView, got: DataView, at: number): boolean {
	if (want.getUint32(at, true) === got.getUint32(at, true)) return true
	const x = want.getFloat32(at, true)
	// Both approximations may err, in opposite directions.
	return Math.abs(x - got.getFloat32(at, true)) <= Math.abs(x) * 3 * 2 ** -12
}

/** Runs of bytes of `after` that differ from `before`. */
export function runs(before: Uint8Array, after: Uint8Array): Patch[] {
	const found: Patch[] = []
	for (let i = 0; i < after.length; i++) {
		if (before[i] === after[i]) continue
		const start = i
		while (i < after.length && before[i] !== after[i]) i++
		found.push({ offset: start, bytes: after.slice(start, i) })
	}
	return found
}

function exception({ vector, error, cr2 }: Outcome): string {
	const names: Record<number, string> = {
		0: '#DE',
		1: 'step',
		3: 'end',
		4: '#OF',
		5: '#BR',
		6: '#UD',
		12: '#SS',
		13: '#GP',
		14: '#PF',
		16: '#MF',
		17: '#AC',
		19: '#XM',
		255: 'hang',
	}
	return `${names[vector] ?? `vector ${vector}`}${error ? `(${error.toString(16)})` : ''}${vector === 14 ? ` at ${cr2.toString(16)}` : ''}`
}

function place(view: DataView): string {
	const rip = view.getBigUint64(STATE_RIP, true)
	const offset = rip - BigInt(CODE_VA)
	return offset >= 0n && offset < 0x4000n ? `code+${offset.toString(16)}` : rip.toString(16)
}

function flagText(view: DataView): string {
	const flags = view.getUint32(STATE_RFLAGS, true)
	return FLAG_LETTERS.map(([bit, letter]) => (flags & bit ? letter : '-')).join('')
}

function hex(bytes: Uint8Array): string {
	return `${Buffer.from(bytes.subarray(0, 32)).toString('hex')}${bytes.length > 32 ? '...' : ''}`
}

/** What the case starts from, as far as it is its own: for a report. */
export function describe(test: IsaCase, base: Uint8Array): string {
	const view = viewOf(test.state)
	const start = viewOf(base)
	const parts = [`code ${hex(test.code)}${test.compat ? ' (compat)' : ''} at ${place(view)}`, `flags ${flagText(view)}`]
	GPR_NAMES.forEach((name, i) => {
		if (view.getBigUint64(i * 8, true) !== start.getBigUint64(i * 8, true))
			parts.push(`${name}=${view.getBigUint64(i * 8, true).toString(16)}`)
	})
	for (let at = STATE_FX; at < STATE_SIZE; at += 16) {
		const changed = runs(base.subarray(at, at + 16), test.state.subarray(at, at + 16))
		if (changed.length === 0) continue
		const slot = at - STATE_FX
		const name = slot < FX_ST ? `fx+${slot}` : slot < FX_XMM ? `st${(slot - FX_ST) / 16}` : `xmm${(slot - FX_XMM) / 16}`
		const size = slot >= FX_ST && slot < FX_XMM ? 10 : 16
		parts.push(`${name}=${Buffer.from(test.state.slice(at, at + size).reverse()).toString('hex')}`)
	}
	for (const { offset, bytes } of test.memory) parts.push(`[${(DATA_VA + offset).toString(16)}]=${hex(bytes)}`)
	return parts.join(' ')
}
