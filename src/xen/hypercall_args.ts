/**
 * The six arguments of a hypercall (RDI, RSI, RDX, R10, R8, R9, or a multicall entry's), 64 bits each, copied once.
 * Word 2n is the low half of argument n, word 2n + 1 the high half.
 */
export type HypercallArgs = Uint32Array

/** The argument as an unsigned int (the low 32 bits, as Xen's `unsigned int` and `int cmd` parameters read it). */
export function argU32(args: HypercallArgs, n: number): number {
	return args[n * 2] as number
}

/** The argument as a signed number: exact below 2^53 in magnitude, so for every canonical address and every sensible count. */
export function argNumber(args: HypercallArgs, n: number): number {
	return ((args[n * 2 + 1] as number) | 0) * 4294967296 + (args[n * 2] as number)
}

/** Makes an argument a signed number, for a continuation. The caller's numbers are exact below 2^53 in magnitude. */
export function setArg(args: HypercallArgs, n: number, value: number): void {
	args[n * 2] = value
	args[n * 2 + 1] = Math.floor(value / 4294967296)
}

/** The high half, for 64-bit values such as page table entries. */
export function argHi(args: HypercallArgs, n: number): number {
	return args[n * 2 + 1] as number
}
