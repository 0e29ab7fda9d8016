// Instructions that no table knows: any opcode byte of the first two maps behind random prefixes, then random bytes.
// Finds what the decoder takes for something else, at another length, or not at all. Single-stepped, so that only the first counts.

import type { IsaCase } from '../case.ts'
import { DATA_VA, HIGH_VA } from '../memory_map.ts'
import type { Random } from '../random.ts'
import { BASES, baseState, STATE_RFLAGS, STATUS_FLAGS, setGpr, TF, viewOf } from '../state.ts'

const REX_W = 8
/** In compatibility code CS can't be written and FS is null: our processor has no such checks. */
const COMPAT_PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0x3e, 0x26, 0x36, 0x65, 0xf0]
const LONG_PREFIXES = [...COMPAT_PREFIXES, 0x2e, 0x64]

/**
 * One-byte opcodes not tried: prefixes; VEX, EVEX, XOP; interrupts, far returns and flags, which see the trap flag or change it; loads of SS,
 * which put the trap off; CMPS, whose operands fault in the processor's order.
 */
const EXCLUDED_ONE = new Set([
	...LONG_PREFIXES,
	0x0f,
	0x62,
	0xc4,
	0xc5,
	0x8f,
	0xcd,
	0xcf,
	0xf1,
	0x9c,
	0x9d,
	0xca,
	0xcb,
	0x8e,
	0x17,
	0xa6,
	0xa7,
])
/**
 * Two-byte opcodes not tried: system calls, counters, identification, extended states; what Linux emulates; what newer processors give a
 * meaning; RSQRTPS and RCPPS; LSS; MASKMOVQ, which may fault after it has ended x87 mode.
 */
const EXCLUDED_TWO = new Set([
	0x00, 0x01, 0x05, 0x07, 0x0a, 0x0d, 0x0e, 0x0f, 0x1a, 0x1b, 0x1e, 0x20, 0x21, 0x22, 0x23, 0x24, 0x26, 0x2a, 0x2b, 0x31, 0x33, 0x34, 0x35,
	0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x52, 0x53, 0x78, 0x79, 0xa2, 0xa6, 0xa7, 0xae, 0xb2, 0xb8, 0xbc, 0xbd, 0xc7,
	0xf7,
])
/** Should the trap not come, none of these may run. */
const EXCLUDED_TAIL = new Set([0x0f, 0xcd, 0xcf, 0x9d, 0xf1])

export function fuzzCase(random: Random, compat: boolean): IsaCase {
	const base = random.below(BASES)
	const state = baseState(base, compat)
	const view = viewOf(state)
	view.setUint32(STATE_RFLAGS, view.getUint32(STATE_RFLAGS, true) | TF | (random.u32() & STATUS_FLAGS), true)
	for (const register of [0, 1, 2, 3, 5, 6, 7]) {
		if (random.oneIn(2)) setGpr(view, register, BigInt((compat || random.oneIn(2) ? DATA_VA : HIGH_VA) + 0x800 + random.below(0x1800)))
	}
	const opcode = pickOpcode(random, compat)
	const allowed = (compat ? COMPAT_PREFIXES : LONG_PREFIXES).filter((prefix) => !isAmbiguous(prefix, opcode))
	const prefixes = Array.from({ length: random.below(3) }, () => random.pick(allowed))
	const rex = !compat && random.oneIn(3) ? [0x40 | (random.below(16) & (isFarPointer(opcode) ? ~REX_W : 15))] : []
	const tail = pickTail(random, opcode)
	const label = `bytes ${opcode.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(' ')}${compat ? ' (compat)' : ''}`
	const code = Uint8Array.from([...prefixes, ...rex, ...opcode, ...tail])
	return { label, code, base, compat, state, memory: [], undefinedFlags: STATUS_FLAGS, undefinedStatus: 0x4700, tolerance: 0 }
}

/** Processors disagree: near branches, double shifts and MOVSXD with a 16-bit operand size, LOOPE with a repeat prefix. Or it traps in the middle: repeated strings. */
function isAmbiguous(prefix: number, opcode: readonly number[]): boolean {
	const [first, second = 0] = opcode as [number, number?]
	if (prefix === 0xf2 || prefix === 0xf3) return /^(6[c-f]|a[4-7a-f]|e[0-3])$/.test(first.toString(16))
	// A bit offset that leaves 16-bit or 32-bit addressing.
	if (prefix === 0x67) return first === 0x0f && (second & 0xe7) === 0xa3
	if (prefix !== 0x66) return false
	if (first === 0x0f) return (second & 0xf0) === 0x80 || (second & 0xf6) === 0xa4
	if (first === 0x63) return true
	return (first & 0xf0) === 0x70 || (first & 0xfc) === 0xe0 || [0xe8, 0xe9, 0xeb, 0xc2, 0xc3, 0xff].includes(first)
}

/** LFS, LGS and indirect far branches: AMD ignores REX.W, Intel doesn't. */
function isFarPointer([first, second]: readonly number[]): boolean {
	return first === 0xff || (first === 0x0f && (second === 0xb4 || second === 0xb5))
}

function pickOpcode(random: Random, compat: boolean): number[] {
	const two = random.oneIn(2)
	for (;;) {
		const byte = random.below(256)
		if (!two && (EXCLUDED_ONE.has(byte) || (!compat && byte >= 0x40 && byte < 0x50))) continue
		if (two && EXCLUDED_TWO.has(byte)) continue
		return two ? [0x0f, byte] : [byte]
	}
}

/** x87 environments hold instruction pointers: not FNSTENV, FNSAVE and their like. */
function pickTail(random: Random, opcode: readonly number[]): number[] {
	for (;;) {
		const tail = Array.from({ length: 1 + random.below(7) }, () => tailByte(random))
		const modrm = tail[0] as number
		if ((opcode[0] === 0xd9 || opcode[0] === 0xdd) && modrm < 0xc0 && (modrm & 0x28) === 0x20) continue
		return tail
	}
}

function tailByte(random: Random): number {
	for (;;) {
		const byte = random.below(256)
		if (!EXCLUDED_TAIL.has(byte)) return byte
	}
}
