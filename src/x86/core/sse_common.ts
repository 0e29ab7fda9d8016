// Operands of SSE and MMX instructions, shared by their families.

import { CPU_CR0, CPU_XMM, REC_FLAGS, REC_REG, REC_RM, RF_MEM } from './layout'
import { cpu, ea, FAULT, raise, readPtr, writeEnd, writePtr } from './mem'

const CR0_EM = 4
const CR0_TS = 8

/** Raises #UD (EM) or #NM (TS) when SSE and MMX are unavailable; returns 1 then. */
// @ts-ignore: decorator
@inline
export function simdUnavailable(): i32 {
	const cr0 = load<u32>(cpu, CPU_CR0) & (CR0_EM | CR0_TS)
	if (!cr0) return 0
	return raise(cr0 & CR0_EM ? 6 : 7, 0)
}

// @ts-ignore: decorator
@inline
export function isMemory(rec: usize): bool {
	return (load<u8>(rec, REC_FLAGS) & RF_MEM) != 0
}

/** Address of the XMM register in ModRM.reg. */
// @ts-ignore: decorator
@inline
export function xmmReg(rec: usize): usize {
	return cpu + CPU_XMM + ((<usize>load<u8>(rec, REC_REG)) << 4)
}

/** Address of the XMM register in ModRM.rm. */
// @ts-ignore: decorator
@inline
export function xmmRm(rec: usize): usize {
	return cpu + CPU_XMM + ((<usize>load<u8>(rec, REC_RM)) << 4)
}

/** Where to read a W operand of `size` bytes with no alignment demanded, or FAULT. */
export function source(rec: usize, size: u32): usize {
	return isMemory(rec) ? readPtr(ea(rec), size) : xmmRm(rec)
}

/** Where to read a W operand of 16 bytes, or FAULT: #GP(0) when it is misaligned memory. */
export function source16(rec: usize): usize {
	if (!isMemory(rec)) return xmmRm(rec)
	const va = ea(rec)
	if (va & 15) {
		raise(13, 0)
		return FAULT
	}
	return readPtr(va, 16)
}

/** Where to read an E operand (memory, or the low bytes of a GPR), or FAULT. */
export function sourceGpr(rec: usize, size: u32): usize {
	return isMemory(rec) ? readPtr(ea(rec), size) : cpu + <usize>load<u8>(rec, REC_RM)
}

/** Writes a 32-bit result to the GPR in ModRM.reg. */
// @ts-ignore: decorator
@inline
export function setGpr32(rec: usize, value: u32): void {
	store<u64>(cpu + <usize>load<u8>(rec, REC_REG), <u64>value)
}

export function storeMemory64(rec: usize, value: u64): i32 {
	const p = writePtr(ea(rec), 8)
	if (p == FAULT) return 1
	store<u64>(p, value)
	return writeEnd() ? 0 : 1
}

export function storeMemory32(rec: usize, value: u32): i32 {
	const p = writePtr(ea(rec), 4)
	if (p == FAULT) return 1
	store<u32>(p, value)
	return writeEnd() ? 0 : 1
}

export function storeMemory128(va: u64, value: v128): i32 {
	const p = writePtr(va, 16)
	if (p == FAULT) return 1
	v128.store(p, value)
	return writeEnd() ? 0 : 1
}

/** E operand as the destination of `size` bytes (1, 2, 4, 8): a register takes the value zero-extended to 64 bits. */
export function storeGpr(rec: usize, size: u32, value: u64): i32 {
	if (!isMemory(rec)) {
		store<u64>(cpu + <usize>load<u8>(rec, REC_RM), value)
		return 0
	}
	const p = writePtr(ea(rec), size)
	if (p == FAULT) return 1
	switch (size) {
		case 1:
			store<u8>(p, <u8>value)
			break
		case 2:
			store<u16>(p, <u16>value)
			break
		case 4:
			store<u32>(p, <u32>value)
			break
		default:
			store<u64>(p, value)
	}
	return writeEnd() ? 0 : 1
}
