/**
 * xz's x86 filter (BCJ): the compressor has turned the relative targets of CALL and JMP into absolute ones, and this turns them back, in
 * place. Which bytes look like such an instruction depends on the ones before; `history` holds, a bit each, that one of the last three
 * bytes looked like an opcode that was not converted.
 */
const HISTORY_ALLOWED = [true, true, true, false, true, false, false, false]
const HISTORY_BYTE = [0, 1, 2, 2, 3, 3, 3, 3]

export function decodeX86Filter(code: Uint8Array): void {
	const last = code.length - 5
	let history = 0
	let previous = -1
	for (let at = 0; at <= last; at++) {
		if ((code[at]! & 0xfe) !== 0xe8) continue
		const distance = at - previous
		previous = at
		history = distance > 3 ? 0 : (history << (distance - 1)) & 7
		if (history !== 0 && (!HISTORY_ALLOWED[history] || isSignByte(code[at + 4 - HISTORY_BYTE[history]!]!))) {
			history = (history << 1) | 1
			continue
		}
		if (!isSignByte(code[at + 4]!)) {
			history = (history << 1) | 1
			continue
		}
		writeRelative(code, at, history)
		at += 4
	}
}

function isSignByte(byte: number): boolean {
	return byte === 0 || byte === 0xff
}

function writeRelative(code: Uint8Array, at: number, history: number): void {
	let absolute = code[at + 1]! | (code[at + 2]! << 8) | (code[at + 3]! << 16) | (code[at + 4]! << 24)
	let relative: number
	for (;;) {
		relative = (absolute - (at + 5)) | 0
		if (history === 0) break
		const shift = HISTORY_BYTE[history]! * 8
		if (!isSignByte((relative >>> (24 - shift)) & 255)) break
		absolute = relative ^ (2 ** (32 - shift) - 1)
	}
	code[at + 1] = relative
	code[at + 2] = relative >> 8
	code[at + 3] = relative >> 16
	code[at + 4] = relative & 0x01000000 ? 0xff : 0
}
