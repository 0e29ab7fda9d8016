// Values that find bugs: limits, single bits, and the classes of floating-point numbers.

import type { Random } from '../random.ts'

/** An integer of `size` bytes: an edge half of the time, else random bits. */
export function integer(random: Random, size: number): bigint {
	const bits = size * 8
	const edges = [
		0n,
		1n,
		2n,
		-1n,
		-2n,
		1n << BigInt(bits - 1),
		(1n << BigInt(bits - 1)) - 1n,
		0x7fn,
		0x80n,
		0xffn,
		0x7fffn,
		0x8000n,
		0xffffffffn,
		0x80000000n,
	]
	const kind = random.below(4)
	let value: bigint
	if (kind === 0) value = random.pick(edges)
	else if (kind === 1) value = 1n << BigInt(random.below(bits))
	else if (kind === 2) value = random.u64() >> BigInt(random.below(bits))
	else value = random.u64() | (size > 8 ? random.u64() << 64n : 0n)
	return BigInt.asUintN(bits, value)
}

export function littleEndian(value: bigint, size: number): Uint8Array {
	const bytes = new Uint8Array(size)
	for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(i * 8)) & 0xffn)
	return bytes
}

const FLOAT32_EDGES = [
	0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xff923456, 1, 0x007fffff, 0x80400000,
	0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0x3f000000, 0x3fc00000, 0x40200000, 0xc0200000, 0x4b7fffff,
	0x34000000,
]

/** Bits of a binary32: zeros, denormals, infinities, quiet and signalling NaNs, limits of the integers, else an ordinary number. */
export function float32(random: Random): number {
	if (random.oneIn(2)) return random.pick(FLOAT32_EDGES) >>> 0
	if (random.oneIn(6)) return random.u32()
	const exponent = 127 - 34 + random.below(68)
	const fraction = random.oneIn(2) ? random.u32() & 0x7fffff : (random.u32() & 0xff) << 15
	return ((random.oneIn(2) ? 0x80000000 : 0) | (exponent << 23) | fraction) >>> 0
}

const FLOAT64_EDGES = [
	0n,
	1n << 63n,
	0x3ff0000000000000n,
	0xbff0000000000000n,
	0x7ff0000000000000n,
	0xfff0000000000000n,
	0x7ff8000000000000n,
	0xfff8000000000001n,
	0x7ff0000000000001n,
	0xfff4567800000000n,
	1n,
	0x000fffffffffffffn,
	0x8008000000000000n,
	0x0010000000000000n,
	0x7fefffffffffffffn,
	0x41e0000000000000n,
	0xc1e0000000000000n,
	0x41dfffffffc00000n,
	0x43e0000000000000n,
	0xc3e0000000000000n,
	0x43dfffffffffffffn,
	0x3fe0000000000000n,
	0x3ff8000000000000n,
	0xc004000000000000n,
	0x47efffffe0000000n,
	0x47effffff0000000n,
	0x3810000000000000n,
	0x36a0000000000000n,
	0x41dfffffffe00000n,
	0x432fffffffffffffn,
	0x3fefffffffffffffn,
]

/** Bits of a binary64, as float32(). */
export function float64(random: Random): bigint {
	if (random.oneIn(2)) return random.pick(FLOAT64_EDGES)
	if (random.oneIn(6)) return random.u64()
	const exponent = BigInt(1023 - 66 + random.below(132))
	const fraction = random.oneIn(2) ? random.u64() & 0xfffffffffffffn : (random.u64() & 0xffn) << 44n
	return ((random.oneIn(2) ? 1n : 0n) << 63n) | (exponent << 52n) | fraction
}

const FLOAT80_EDGES: readonly (readonly [signExponent: number, significand: bigint])[] = [
	[0, 0n],
	[0x8000, 0n],
	[0x3fff, 1n << 63n],
	[0xbfff, 1n << 63n],
	[0x7fff, 1n << 63n],
	[0xffff, 1n << 63n],
	[0x7fff, 3n << 62n],
	[0xffff, (3n << 62n) | 1n],
	[0x7fff, (1n << 63n) | 1n],
	[0xffff, 0xa000000000000000n],
	[0, 1n],
	[0, 0x7fffffffffffffffn],
	[0x8000, 1n << 62n],
	[1, 1n << 63n],
	[0, 1n << 63n],
	[0x7ffe, 0xffffffffffffffffn],
	[0x403e, 1n << 63n],
	[0xc03e, 1n << 63n],
	[0x403d, 0xfffffffffffffffen],
	[0x400e, 1n << 63n],
	[0xc00d, 0xffff000000000000n],
	[0x401e, 1n << 63n],
	[0x3ffe, 1n << 63n],
	[0x3fff, 3n << 62n],
	[0xc000, 0xa000000000000000n],
	[0x43fe, 0xfffffffffffff800n],
	[0x43fe, 0xfffffffffffffc00n],
	[0x3bcd, 1n << 63n],
	[0x3fff, 0x8000000000000001n],
	[0x7fff, 0x4000000000000000n],
	[0x4000, 0x4000000000000000n],
	[0x4000, 0xc90fdaa22168c235n],
]

/** 10 bytes of an x87 register or operand; now and then an encoding that the processor doesn't support (pseudo-NaN, unnormal). */
export function float80(random: Random): Uint8Array {
	if (random.oneIn(2)) {
		const [signExponent, significand] = random.pick(FLOAT80_EDGES)
		return littleEndian((BigInt(signExponent) << 64n) | significand, 10)
	}
	const sign = random.oneIn(2) ? 0x8000n : 0n
	const exponent = random.oneIn(8) ? BigInt(random.below(0x8000)) : BigInt(0x3fff - 70 + random.below(140))
	const significand = random.oneIn(2) ? random.u64() : random.u64() << BigInt(random.below(60))
	return littleEndian(((sign | exponent) << 64n) | (1n << 63n) | (significand & ((1n << 63n) - 1n)), 10)
}

/** 16 bytes of packed data: floats of either width, integers of any width, or all alike. */
export function vector(random: Random): Uint8Array {
	const out = new Uint8Array(16)
	const view = new DataView(out.buffer)
	const kind = random.below(6)
	if (kind === 0) return random.bytes(16)
	if (kind === 1) return out.fill(random.pick([0, 0xff, 0x80, 0x7f, 1]))
	if (kind === 2) for (let i = 0; i < 2; i++) view.setBigUint64(i * 8, float64(random), true)
	else if (kind === 3) for (let i = 0; i < 4; i++) view.setUint32(i * 4, float32(random), true)
	else {
		const size = random.pick([1, 2, 4, 8])
		for (let i = 0; i < 16; i += size) out.set(littleEndian(integer(random, size), size), i)
	}
	return out
}

export function vector32(random: Random): Uint8Array {
	const out = new Uint8Array(16)
	for (let i = 0; i < 4; i++) new DataView(out.buffer).setUint32(i * 4, float32(random), true)
	return out
}

export function vector64(random: Random): Uint8Array {
	const out = new Uint8Array(16)
	for (let i = 0; i < 2; i++) new DataView(out.buffer).setBigUint64(i * 8, float64(random), true)
	return out
}
