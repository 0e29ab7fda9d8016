/**
 * One instruction form: [encoding, operation, operands, attributes].
 *
 * encoding    optional mandatory prefix NP | 66 | F2 | F3 (none: any), opcode bytes in hex (`50+r`: register in the low three bits),
 *             `/r` or `/0`..`/7` for ModRM, `mem` or `reg` to constrain ModRM.mod, then immediates: ib iw id iz iv (iv is 64-bit with REX.W),
 *             jb jz (branch displacement), mo (an address-sized offset).
 * operation   becomes the constant OP_<operation>; forms that execute alike share one.
 * operands    letters of Intel's opcode map (SDM volume 2, appendix A.2); the first sized one decides REC_OPSIZE.
 * attributes  lock (LOCK allowed on a memory destination), d64 (64-bit operand size by default in 64-bit mode), f64 (forced),
 *             i64 (invalid in 64-bit mode), o64 (only in 64-bit mode).
 */
export type OpcodeRow = readonly [encoding: string, operation: string, operands: string, attributes?: string]
