// FXSAVE, FXRSTOR, LDMXCSR, STMXCSR.
//
// The 512-byte image: FCW 0, FSW 2, abridged tags 4, FOP 6, FIP 8, FDP 16 (64-bit with REX.W; else 32-bit offsets, selectors zero),
// MXCSR 24, MXCSR_MASK 28, ST0..ST7 at 32 in stack order, XMM0..15 at 160. Bytes 416.. are left alone by FXSAVE.

import {
	CPU_CODE64,
	CPU_CR0,
	CPU_FCW,
	CPU_FDP,
	CPU_FIP,
	CPU_FOP,
	CPU_FSW,
	CPU_FTW,
	CPU_MXCSR,
	CPU_X87,
	CPU_XMM,
	REC_FLAGS,
	RF_REXW,
} from './layout'
import { cpu, ea, FAULT, raise, readPtr, writable, writeEnd, writePtr } from './mem'
import { simdUnavailable, storeMemory32 } from './sse_common'
import * as op from './generated/ops'

/** Every MXCSR bit that may be set: flags, DAZ, masks, rounding, FTZ. */
export const MXCSR_MASK: u32 = 0xffff

export function executeFxsave(rec: usize, operation: i32): i32 {
	if (operation == op.OP_LDMXCSR) return loadMxcsr(rec)
	if (operation == op.OP_STMXCSR) return simdUnavailable() ? 1 : storeMemory32(rec, load<u32>(cpu, CPU_MXCSR))
	if (load<u32>(cpu, CPU_CR0) & 0xc) return raise(7, 0)
	const va = ea(rec)
	if (va & 15) return raise(13, 0)
	const wide = (load<u8>(rec, REC_FLAGS) & RF_REXW) != 0
	return operation == op.OP_FXSAVE ? save(va, wide) : restore(va, wide)
}

function loadMxcsr(rec: usize): i32 {
	if (simdUnavailable()) return 1
	const s = readPtr(ea(rec), 4)
	if (s == FAULT) return 1
	const value = load<u32>(s)
	if (value & ~MXCSR_MASK) return raise(13, 0)
	store<u32>(cpu, value, CPU_MXCSR)
	return 0
}

/** Number of XMM registers in the image: 16 in 64-bit mode, 8 in compatibility mode. */
function imageRegisters(): u32 {
	return load<u32>(cpu, CPU_CODE64) ? 16 : 8
}

function physical(i: u32): usize {
	const top = (<u32>load<u16>(cpu, CPU_FSW) >> 11) & 7
	return cpu + CPU_X87 + (((top + i) & 7) << 4)
}

/** Quadwords first touch every page of the image, so that a fault leaves memory as it was. */
function save(va: u64, wide: bool): i32 {
	const registers = imageRegisters()
	const last = va + 160 + (<u64>registers << 4) - 16
	if (!writable(va, 16) || !writable(last, 16)) return 1
	const pointer: u64 = wide ? 0xffffffffffffffff : 0xffffffff
	if (!put(va, header(), load<u64>(cpu, CPU_FIP) & pointer)) return 1
	if (!put(va + 16, load<u64>(cpu, CPU_FDP) & pointer, <u64>load<u32>(cpu, CPU_MXCSR) | (<u64>MXCSR_MASK << 32))) return 1
	for (let i: u32 = 0; i < 8; i++) {
		const r = physical(i)
		if (!put(va + 32 + (i << 4), load<u64>(r), <u64>load<u16>(r, 8))) return 1
	}
	for (let i: u32 = 0; i < registers; i++) {
		const r = cpu + CPU_XMM + (i << 4)
		if (!put(va + 160 + (i << 4), load<u64>(r), load<u64>(r, 8))) return 1
	}
	return 0
}

function header(): u64 {
	return (
		<u64>load<u16>(cpu, CPU_FCW) |
		(<u64>load<u16>(cpu, CPU_FSW) << 16) |
		(<u64>load<u8>(cpu, CPU_FTW) << 32) |
		(<u64>load<u16>(cpu, CPU_FOP) << 48)
	)
}

/** The caller has shown both ends of the image to be writable. */
function put(va: u64, low: u64, high: u64): bool {
	const p = writePtr(va, 16)
	if (p == FAULT) return false
	store<u64>(p, low)
	store<u64>(p, high, 8)
	return writeEnd()
}

function restore(va: u64, wide: bool): i32 {
	const registers = imageRegisters()
	const last = va + 160 + (<u64>registers << 4) - 16
	if (readPtr(va, 16) == FAULT || readPtr(last, 16) == FAULT) return 1
	const h = readPtr(va, 32)
	if (h == FAULT) return 1
	const mxcsr = load<u32>(h, 24)
	if (mxcsr & ~MXCSR_MASK) return raise(13, 0)
	store<u32>(cpu, mxcsr, CPU_MXCSR)
	const fcw = load<u16>(h)
	const fsw = load<u16>(h, 2)
	store<u16>(cpu, (fcw & 0x1f7f) | 0x40, CPU_FCW)
	store<u16>(cpu, withSummary(fsw, fcw), CPU_FSW)
	store<u8>(cpu, load<u8>(h, 4), CPU_FTW)
	store<u16>(cpu, load<u16>(h, 6) & 0x7ff, CPU_FOP)
	store<u64>(cpu, wide ? load<u64>(h, 8) : <u64>load<u32>(h, 8), CPU_FIP)
	store<u64>(cpu, wide ? load<u64>(h, 16) : <u64>load<u32>(h, 16), CPU_FDP)
	for (let i: u32 = 0; i < 8; i++) {
		const s = readPtr(va + 32 + (i << 4), 16)
		if (s == FAULT) return 1
		const r = physical(i)
		store<u64>(r, load<u64>(s))
		store<u64>(r, <u64>load<u16>(s, 8), 8)
	}
	for (let i: u32 = 0; i < registers; i++) {
		const s = readPtr(va + 160 + (i << 4), 16)
		if (s == FAULT) return 1
		v128.store(cpu + CPU_XMM + (i << 4), v128.load(s))
	}
	return 0
}

/** The status word with ES and B as its flags and the control word's masks make them. */
export function withSummary(fsw: u16, fcw: u16): u16 {
	return fsw & ~fcw & 0x3f ? fsw | 0x8080 : fsw & 0x7f7f
}
