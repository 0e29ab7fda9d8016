// FNSTENV, FLDENV, FNSAVE, FRSTOR: the environment in its protected-mode forms of 14 bytes (16-bit operand size) and 28 bytes.
// Selectors are stored as zero, as processors do that have deprecated them.

import { CPU_FCW, CPU_FDP, CPU_FIP, CPU_FOP, CPU_FSW, CPU_FTW, REC_FLAGS, RF_OP16 } from '../layout'
import { cpu, ea, FAULT, readPtr, writable, writeEnd, writePtr } from '../mem'
import { CLASS_NORMAL, CLASS_ZERO, classify } from '../softfloat80'
import { fcw, FSW_SUMMARY, fsw, setFsw, setSt, st, top, updateSummary } from './state'

export function initialiseX87(): void {
	store<u16>(cpu, 0x37f, CPU_FCW)
	store<u16>(cpu, 0, CPU_FSW)
	store<u8>(cpu, 0, CPU_FTW)
	store<u16>(cpu, 0, CPU_FOP)
	store<u64>(cpu, 0, CPU_FIP)
	store<u64>(cpu, 0, CPU_FDP)
}

export function setControlWord(value: u32): void {
	store<u16>(cpu, (value & 0x1f7f) | 0x40, CPU_FCW)
	updateSummary()
}

// @ts-ignore: decorator
@inline
function environmentSize(rec: usize): u32 {
	return load<u8>(rec, REC_FLAGS) & RF_OP16 ? 14 : 28
}

/** The full tag word: two bits a physical register, 0 valid, 1 zero, 2 special, 3 empty. */
function fullTags(): u32 {
	let tags: u32 = 0
	const first = top()
	for (let physical: u32 = 0; physical < 8; physical++) {
		let tag: u32 = 3
		if ((<u32>load<u8>(cpu, CPU_FTW) >> physical) & 1) {
			const r = st(physical - first)
			const kind = classify(load<u16>(r, 8), load<u64>(r))
			tag = kind == CLASS_NORMAL ? 0 : kind == CLASS_ZERO ? 1 : 2
		}
		tags |= tag << (physical << 1)
	}
	return tags
}

function writeEnvironment(rec: usize, va: u64): bool {
	const size = environmentSize(rec)
	const p = writePtr(va, size)
	if (p == FAULT) return false
	const tags = fullTags()
	const fip = load<u64>(cpu, CPU_FIP)
	const fdp = load<u64>(cpu, CPU_FDP)
	if (size == 14) {
		store<u16>(p, fcw())
		store<u16>(p, fsw(), 2)
		store<u16>(p, tags, 4)
		store<u16>(p, <u16>fip, 6)
		store<u16>(p, 0, 8)
		store<u16>(p, <u16>fdp, 10)
		store<u16>(p, 0, 12)
	} else {
		store<u32>(p, fcw() | 0xffff0000)
		store<u32>(p, fsw() | 0xffff0000, 4)
		store<u32>(p, tags | 0xffff0000, 8)
		store<u32>(p, <u32>fip, 12)
		store<u32>(p, <u32>load<u16>(cpu, CPU_FOP) << 16, 16)
		store<u32>(p, <u32>fdp, 20)
		store<u32>(p, 0xffff0000, 24)
	}
	return writeEnd()
}

/** FNSTENV; afterwards all exceptions are masked. */
export function storeEnvironment(rec: usize): i32 {
	if (!writeEnvironment(rec, ea(rec))) return 1
	store<u16>(cpu, fcw() | 0x3f, CPU_FCW)
	setFsw(fsw() & ~FSW_SUMMARY)
	return 0
}

function readEnvironment(rec: usize, va: u64): bool {
	const size = environmentSize(rec)
	const p = readPtr(va, size)
	if (p == FAULT) return false
	const step: usize = size == 14 ? 2 : 4
	const tags = <u32>load<u16>(p + 2 * step)
	setFsw(<u32>load<u16>(p + step))
	setControlWord(<u32>load<u16>(p))
	let valid: u32 = 0
	for (let i: u32 = 0; i < 8; i++) if (((tags >> (i << 1)) & 3) != 3) valid |= 1 << i
	store<u8>(cpu, valid, CPU_FTW)
	if (size == 14) {
		store<u64>(cpu, <u64>load<u16>(p, 6), CPU_FIP)
		store<u64>(cpu, <u64>load<u16>(p, 10), CPU_FDP)
	} else {
		store<u64>(cpu, <u64>load<u32>(p, 12), CPU_FIP)
		store<u16>(cpu, load<u16>(p, 18) & 0x7ff, CPU_FOP)
		store<u64>(cpu, <u64>load<u32>(p, 20), CPU_FDP)
	}
	return true
}

export function loadEnvironment(rec: usize): i32 {
	return readEnvironment(rec, ea(rec)) ? 0 : 1
}

/** FNSAVE: the environment, ST0..ST7 of ten bytes each, then FNINIT. Both ends of the image are tried first. */
export function saveX87(rec: usize): i32 {
	const va = ea(rec)
	const registers = va + environmentSize(rec)
	if (!writable(va, 2) || !writable(registers + 79, 1)) return 1
	if (!writeEnvironment(rec, va)) return 1
	for (let i: u32 = 0; i < 8; i++) {
		const p = writePtr(registers + i * 10, 10)
		if (p == FAULT) return 1
		const r = st(i)
		store<u64>(p, load<u64>(r))
		store<u16>(p, load<u16>(r, 8), 8)
		if (!writeEnd()) return 1
	}
	initialiseX87()
	return 0
}

export function restoreX87(rec: usize): i32 {
	const va = ea(rec)
	const registers = va + environmentSize(rec)
	if (readPtr(va, 2) == FAULT || readPtr(registers + 79, 1) == FAULT) return 1
	if (!readEnvironment(rec, va)) return 1
	const tags = load<u8>(cpu, CPU_FTW)
	for (let i: u32 = 0; i < 8; i++) {
		const p = readPtr(registers + i * 10, 10)
		if (p == FAULT) return 1
		setSt(i, <u32>load<u16>(p, 8), load<u64>(p))
	}
	store<u8>(cpu, tags, CPU_FTW)
	return 0
}
