// The x87's register stack, status and tags, and how an instruction's exceptions enter the status word.
//
// An instruction begins with beginX87(), collects exceptions in softfloat's fpFlags and ends with conclude(). A stack fault is IE with SF
// (FSW bit 6); C1 tells overflow (1) from underflow (0). Exceptions detected before computing (IE, DE, ZE) keep everything as it was when
// unmasked; OE, UE and PE are reported after the result was stored. The exception itself (#MF) waits for the next instruction that checks.

import { CPU_FCW, CPU_FSW, CPU_FTW, CPU_X87 } from '../layout'
import { cpu } from '../mem'
import * as soft from '../softfloat'
import { setNarrowDenormal, setPrecision } from '../softfloat80'

export const C0: u32 = 0x100
export const C1: u32 = 0x200
export const C2: u32 = 0x400
export const C3: u32 = 0x4000
export const CONDITIONS: u32 = C0 | C1 | C2 | C3
export const FSW_ES: u32 = 0x80
/** ES and B. */
export const FSW_SUMMARY: u32 = 0x8080
const STACK_FAULT: u32 = 0x41

export const NAN_SE: u32 = 0xffff
export const NAN_SIG: u64 = 0xc000000000000000

// @ts-ignore: decorator
@inline
export function fsw(): u32 {
	return load<u16>(cpu, CPU_FSW)
}
// @ts-ignore: decorator
@inline
export function setFsw(value: u32): void {
	store<u16>(cpu, value, CPU_FSW)
}
// @ts-ignore: decorator
@inline
export function fcw(): u32 {
	return load<u16>(cpu, CPU_FCW)
}
export function top(): u32 {
	return (fsw() >> 11) & 7
}
export function setTop(value: u32): void {
	setFsw((fsw() & ~(<u32>0x3800)) | ((value & 7) << 11))
}

/** Address of ST(i). */
export function st(i: u32): usize {
	return cpu + CPU_X87 + (((top() + i) & 7) << 4)
}
/** ST(i)'s bit in the abridged tag word. */
function tagOf(i: u32): u32 {
	return (<u32>1) << ((top() + i) & 7)
}
export function isEmpty(i: u32): bool {
	return !(<u32>load<u8>(cpu, CPU_FTW) & tagOf(i))
}
export function setEmpty(i: u32): void {
	store<u8>(cpu, <u32>load<u8>(cpu, CPU_FTW) & ~tagOf(i), CPU_FTW)
}
export function setSt(i: u32, se: u32, sig: u64): void {
	const r = st(i)
	store<u64>(r, sig)
	store<u16>(r, se, 8)
	store<u8>(cpu, <u32>load<u8>(cpu, CPU_FTW) | tagOf(i), CPU_FTW)
}
export function pop(): void {
	setEmpty(0)
	setTop(top() + 1)
}
export function push(se: u32, sig: u64): void {
	setTop(top() - 1)
	setSt(0, se, sig)
}

export function beginX87(): void {
	const control = fcw()
	soft.setEnvironment((control >> 10) & 3, ~control & 0x3f, false)
	soft.clearFlags()
	setNarrowDenormal(false)
	const pc = (control >> 8) & 3
	setPrecision(pc == 0 ? 24 : pc == 2 ? 53 : 64)
}

/** Notes a stack fault; true when it is masked, so that the default NaN stands in. */
export function stackFault(overflow: bool): bool {
	soft.raiseFlags(STACK_FAULT)
	soft.setRoundedUp(overflow)
	return !(soft.fpUnmasked & soft.FE_INVALID)
}

/** Whether an exception so far forbids any of `kinds` (FE_*) to store a result. */
export function stopped(kinds: u32): bool {
	return (soft.fpFlags & soft.fpUnmasked & kinds) != 0
}

/** Enters the exceptions and C1 into the status word; true when the result may be stored. */
export function conclude(): bool {
	const flags = soft.fpFlags
	let status = (fsw() & ~C1) | flags | (soft.fpRoundedUp ? C1 : 0)
	if (flags & soft.fpUnmasked) status |= FSW_SUMMARY
	setFsw(status)
	return !stopped(soft.FE_INVALID | soft.FE_DENORMAL | soft.FE_ZERO_DIVIDE)
}

export function setConditions(value: u32): void {
	setFsw((fsw() & ~CONDITIONS) | value)
}

/** Recomputes ES and B from the flags and masks. */
export function updateSummary(): void {
	const status = fsw() & ~FSW_SUMMARY
	setFsw(status & ~fcw() & 0x3f ? status | FSW_SUMMARY : status)
}
