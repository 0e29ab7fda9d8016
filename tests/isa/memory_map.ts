// The address space that every instruction case sees, natively and on our processor.
//
//   CODE_VA   2 pages, readable and executable, filled with int3; unmapped on both sides
//   DATA_VA   3 pages read-write, then 1 page read-only; unmapped on both sides
//   HIGH_VA   the same data pages again, above 4 GiB, so that truncation of an address to 32 bits shows

import { Random } from './random.ts'

export const CODE_VA = 0x1000_0000
export const CODE_SIZE = 0x2000
export const DATA_VA = 0x2000_1000
export const DATA_SIZE = 0x4000
/** Offset of the read-only page in the data region. */
export const READ_ONLY_OFFSET = 0x3000
export const HIGH_VA = 0x6543_2000_1000
/** Bases of FS and GS in 64-bit code. */
export const FS_BASE = DATA_VA + 0x100
export const GS_BASE = HIGH_VA + 0x200
/** Base of the segment that GS selects in compatibility code (FS is null there). */
export const GS32_BASE = DATA_VA + 0x300

export const USER_CS32 = 0x23
export const USER_DS = 0x2b
export const USER_CS64 = 0x33
export const GS32_SELECTOR = 0x63

export const FILL = 0xcc

/** What the data region holds before a case's own patches: random bytes, the same on every machine. */
export const BACKGROUND: Uint8Array = new Random(0xda7a).bytes(DATA_SIZE)
