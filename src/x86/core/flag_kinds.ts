// How translated code keeps the status flags: a word that says which operation set them, and up to four operands. Plain integer constants, so that both
// compilers read the same file (see layout.ts).
//
// The word: bits 0..7 the operation, bits 8..15 64 minus its width in bits, bits 16..23 a count, bits 24..31 what overrides some of its flags.
// Operations below 8 are those of flags.ts, whose operands are shifted to the top of 64 bits. Operands of the others are not shifted: their upper bits are zero.

/** a - b. */
export const KEPT_SUB = 8;
/** a is the sum, b one of its terms. */
export const KEPT_ADD = 9;
/** a is the result; CF, OF and AF are clear. */
export const KEPT_LOGIC = 10;
/** a + b + c, c being 0 or 1. */
export const KEPT_ADC = 11;
/** a - b - c. */
export const KEPT_SBB = 12;
/** a is the result; c is CF. */
export const KEPT_INC = 13;
export const KEPT_DEC = 14;
/** a shifted by the word's count, or by c where that is 0; not by 0, and by less than the width. */
export const KEPT_SHL = 15;
export const KEPT_SHR = 16;
export const KEPT_SAR = 17;
/** Product of a and b; CF and OF tell that it does not fit their width. */
export const KEPT_MUL = 18;
export const KEPT_IMUL = 19;
/** a is the result; b holds CF, AF and OF as in EFLAGS. */
export const KEPT_RES = 20;
/** Comparison of doubles, a with b: unordered ZF PF CF, less CF, equal ZF. */
export const KEPT_DOUBLES = 21;

/** In the state block: the flags are the core's, and no others are kept. */
export const KEPT_NONE = 0xff;

export const KEPT_COUNT_SHIFT = 16;
export const KEPT_OVER_SHIFT = 24;
/** CF is bit 0 of d. */
export const OVER_CF = 1;
/** d is the result of a rotate to the left, or to the right, of 32 or 64 bits: CF and OF are its. */
export const OVER_ROL32 = 2;
export const OVER_ROL64 = 3;
export const OVER_ROR32 = 4;
export const OVER_ROR64 = 5;
/** CF and OF are in d as in EFLAGS. */
export const OVER_CF_OF = 6;
