// A processor's visible state as bytes, the layout of `struct state` in native/harness.c.

import { CODE_VA, DATA_VA, GS32_SELECTOR, USER_CS32, USER_CS64, USER_DS } from './memory_map.ts'
import { Random } from './random.ts'

/** 16 x u64 in encoding order. */
export const STATE_GPR = 0
export const STATE_RFLAGS = 128
export const STATE_RIP = 136
/** 6 x u16: ES CS SS DS FS GS. */
export const STATE_SELECTORS = 144
/** The first 416 bytes of an FXSAVE64 image. */
export const STATE_FX = 160
export const STATE_SIZE = 576

/** Offsets in the FXSAVE image. */
export const FX_FCW = 0
export const FX_FSW = 2
/** One bit a physical register, 1 = not empty. */
export const FX_FTW = 4
export const FX_MXCSR = 24
/** 8 x 16 bytes: ST(0)..ST(7), 10 bytes each. */
export const FX_ST = 32
export const FX_XMM = 160
export const FX_SIZE = 416

export const CF = 1
export const PF = 4
export const AF = 0x10
export const ZF = 0x40
export const SF = 0x80
export const TF = 0x100
export const IF = 0x200
export const DF = 0x400
export const OF = 0x800
export const STATUS_FLAGS = CF | PF | AF | ZF | SF | OF

/** Number of different base states. */
export const BASES = 64

/**
 * The state that a case starts from before its own changes: random registers, the same on every machine, a stack in the data region.
 * Part of the corpus format: a corpus stores only what differs from it.
 */
export function baseState(base: number, compat: boolean): Uint8Array {
	const random = new Random(0x5eed0000 + base)
	const state = new Uint8Array(STATE_SIZE)
	const view = viewOf(state)
	for (let i = 0; i < 16; i++) {
		view.setUint32(STATE_GPR + i * 8, random.u32(), true)
		const high = random.u32()
		view.setUint32(STATE_GPR + i * 8 + 4, compat ? 0 : high, true)
	}
	setGpr(view, 4, BigInt(DATA_VA + 0x2800))
	view.setUint32(STATE_RFLAGS, 0x202, true)
	view.setUint32(STATE_RIP, CODE_VA, true)
	const selectors = compat ? [USER_DS, USER_CS32, USER_DS, USER_DS, 0, GS32_SELECTOR] : [0, USER_CS64, USER_DS, 0, 0, 0]
	selectors.forEach((selector, i) => {
		view.setUint16(STATE_SELECTORS + i * 2, selector, true)
	})
	view.setUint16(STATE_FX + FX_FCW, 0x37f, true)
	view.setUint32(STATE_FX + FX_MXCSR, 0x1f80, true)
	const top = random.below(8)
	view.setUint16(STATE_FX + FX_FSW, top << 11, true)
	view.setUint8(STATE_FX + FX_FTW, 0xff)
	for (let i = 0; i < 8; i++) {
		for (let byte = 0; byte < 8; byte++) view.setUint8(STATE_FX + FX_ST + i * 16 + byte, random.u32() >>> 9)
		state[STATE_FX + FX_ST + i * 16 + 7] |= 0x80
		view.setUint16(STATE_FX + FX_ST + i * 16 + 8, (0x3fff - 20 + random.below(40)) | (random.oneIn(2) ? 0x8000 : 0), true)
	}
	state.set(random.bytes(256), STATE_FX + FX_XMM)
	return state
}

export function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function gpr(view: DataView, register: number): bigint {
	return view.getBigUint64(STATE_GPR + register * 8, true)
}

export function setGpr(view: DataView, register: number, value: bigint): void {
	view.setBigUint64(STATE_GPR + register * 8, BigInt.asUintN(64, value), true)
}
