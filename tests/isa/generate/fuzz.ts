// Instructions that no table knows: any opcode byte of the first three maps behind random prefixes, then random bytes.
// Finds what the decoder takes for something else, at another length, or not at all.

import type { IsaCase } from '../case.ts'
import { DATA_VA, HIGH_VA } from '../memory_map.ts'
import type { Random } from '../random.ts'
import { BASES, baseState, setGpr, viewOf } from '../state.ts'

const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x3e, 0x26, 0x36, 0x64, 0x65, 0xf0]

/**
 * Not tried. One byte: VEX, EVEX and XOP, interrupts and returns from them, flags from the stack (single step), what only the host can do.
 * Two bytes: system calls, counters, identification, extended states; processors newer than ours give some of the rest a meaning.
 */
const EXCLUDED_ONE = new Set([0x62, 0xc4, 0xc5, 0x8f, 0xcd, 0xcf, 0xf1, 0x9d, 0x0f, 0xca, 0xcb, ...PREFIXES])
const EXCLUDED_TWO = new Set([
	0x00, 0x01, 0x05, 0x07, 0x0d, 0x0e, 0x0f, 0x24, 0x26, 0x31, 0x33, 0x34, 0x35, 0x37, 0x38, 0x3a, 0x78, 0x79, 0xa2, 0xa6, 0xa7, 0xae, 0xb8,
	0xbc, 0xbd, 0xc7, 0x1e, 0x1a, 0x1b, 0x2b, 0x0a,
])
const EXCLUDED_TWO_RANGES: readonly (readonly [from: number, to: number])[] = [
	[0x20, 0x23],
	[0x36, 0x3f],
]
/** Bytes after the opcode may come to be executed. */
const EXCLUDED_TAIL = new Set([...EXCLUDED_ONE, 0x70, 0xff])

export function fuzzCase(random: Random, compat: boolean): IsaCase {
	const base = random.below(BASES)
	const state = baseState(base, compat)
	const view = viewOf(state)
	for (const register of [0, 1, 2, 3, 5, 6, 7]) {
		if (random.oneIn(2)) setGpr(view, register, BigInt((compat || random.oneIn(2) ? DATA_VA : HIGH_VA) + 0x800 + random.below(0x1800)))
	}
	const prefixes = Array.from({ length: random.below(3) }, () => random.pick(PREFIXES))
	const rex = !compat && random.oneIn(3) ? [0x40 | random.below(16)] : []
	const opcode = pickOpcode(random, compat)
	const tail = Array.from({ length: 1 + random.below(7) }, () => tailByte(random))
	const label = `bytes ${opcode.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ')}${compat ? ' (compat)' : ''}`
	const code = Uint8Array.from([...prefixes, ...rex, ...opcode, ...tail])
	return { label, code, base, compat, state, memory: [], undefinedFlags: 0x8d5, undefinedStatus: 0x4700, tolerance: 0 }
}

function pickOpcode(random: Random, compat: boolean): number[] {
	const two = random.oneIn(2)
	for (;;) {
		const byte = random.below(256)
		if (!two && (EXCLUDED_ONE.has(byte) || (!compat && byte >= 0x40 && byte < 0x50))) continue
		if (two && (EXCLUDED_TWO.has(byte) || EXCLUDED_TWO_RANGES.some(([from, to]) => byte >= from && byte <= to))) continue
		return two ? [0x0f, byte] : [byte]
	}
}

function tailByte(random: Random): number {
	for (;;) {
		const byte = random.below(256)
		if (!EXCLUDED_TAIL.has(byte)) return byte
	}
}
