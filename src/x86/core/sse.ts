// Entry to SSE..SSE4.2, and the instructions near it that neither CR0.TS nor CR0.EM guards.
// An operation's family follows from its number: numbers are given in the order of opcodes/sse.ts.

import { CPU_FENCE, REC_FLAGS, REC_OPSIZE, REC_REG, RF_OP16, RF_REXW } from './layout'
import { cpu, ea, FAULT, raise, readPtr } from './mem'
import { setFlags } from './flags'
import { executeFxsave } from './fxsave'
import { setGpr32, simdUnavailable, sourceGpr, storeMemory32, storeMemory64 } from './sse_common'
import { executeSseConvert } from './sse_convert'
import { executeSseFloat } from './sse_float'
import { executeSsePacked, executeSseShaped } from './sse_int'
import { executeSseMove } from './sse_move'
import * as op from './generated/ops'

const FLAG_ZF = 0x40

/** Executes one SSE record. Returns 0 when it retired, 1 when it raised an exception and changed nothing but MXCSR's flags. */
export function executeSse(rec: usize, operation: i32): i32 {
	if (operation < op.OP_FXSAVE) return executeUnguarded(rec, operation)
	if (operation < op.OP_MOVU_V_W) return executeFxsave(rec, operation)
	if (simdUnavailable()) return 1
	if (operation < op.OP_PUNPCKLBW) return executeSseMove(rec, operation)
	if (operation < op.OP_PSRLW_I) return executeSsePacked(rec, operation)
	if (operation < op.OP_ADDPS) return executeSseShaped(rec, operation)
	if (operation < op.OP_CVTSS2SD) return executeSseFloat(rec, operation)
	return executeSseConvert(rec, operation)
}

function executeUnguarded(rec: usize, operation: i32): i32 {
	switch (operation) {
		case op.OP_PREFETCH:
			return 0
		case op.OP_FENCE:
			// Orders as MFENCE does: a sequentially consistent read-modify-write that changes nothing.
			atomic.add<u32>(cpu + CPU_FENCE, 0)
			return 0
		case op.OP_CLFLUSH:
			return readPtr(ea(rec), 1) == FAULT ? 1 : 0
		case op.OP_MOVNTI: {
			const value = load<u64>(cpu + <usize>load<u8>(rec, REC_REG))
			return load<u8>(rec, REC_FLAGS) & RF_REXW ? storeMemory64(rec, value) : storeMemory32(rec, <u32>value)
		}
		case op.OP_CRC32_B:
			return crc32(rec, 1)
		case op.OP_CRC32_V:
			return crc32(rec, sourceSize(rec))
		case op.OP_POPCNT:
			return popcount(rec)
		default:
			return raise(6, 0)
	}
}

/** Bytes of an Ev operand whose destination has another size. */
function sourceSize(rec: usize): u32 {
	const flags = <u32>load<u8>(rec, REC_FLAGS)
	return flags & RF_REXW ? 8 : flags & RF_OP16 ? 2 : 4
}

/** CRC-32C (reflected polynomial 0x82f63b78) over `size` bytes, without the initial and final inversion. */
function crc32(rec: usize, size: u32): i32 {
	const s = sourceGpr(rec, size)
	if (s == FAULT) return 1
	let crc = load<u32>(cpu + <usize>load<u8>(rec, REC_REG))
	for (let i: u32 = 0; i < size; i++) {
		crc ^= <u32>load<u8>(s + i)
		crc = crcNibble(crc)
		crc = crcNibble(crc)
	}
	setGpr32(rec, crc)
	return 0
}

/** Advances by four bits: the exclusive or of the polynomial's multiples that those bits select. */
// @ts-ignore: decorator
@inline
function crcNibble(crc: u32): u32 {
	return (
		(crc >> 4) ^ (-(crc & 1) & 0x105ec76f) ^ (-((crc >> 1) & 1) & 0x20bd8ede) ^ (-((crc >> 2) & 1) & 0x417b1dbc) ^ (-((crc >> 3) & 1) & 0x82f63b78)
	)
}

function popcount(rec: usize): i32 {
	const size = <u32>load<u8>(rec, REC_OPSIZE)
	const s = sourceGpr(rec, size)
	if (s == FAULT) return 1
	const d = cpu + <usize>load<u8>(rec, REC_REG)
	const value = size == 8 ? load<u64>(s) : size == 4 ? <u64>load<u32>(s) : <u64>load<u16>(s)
	const count = popcnt(value)
	if (size == 2) store<u16>(d, <u16>count)
	else store<u64>(d, count)
	setFlags(value ? 0 : FLAG_ZF)
	return 0
}
