/** Strings on the wire are bytes without a nul: each byte is one character (ISO 8859-1), so that any token survives a round trip. */

export function decodeLatin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
	let text = ''
	for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i])
	return text
}

/** Writes `text` at `at` and returns the offset after it. Characters above U+00FF are the caller's bug. */
export function writeLatin1(target: Uint8Array, at: number, text: string): number {
	for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i)
	return at + text.length
}

/** `text` and a nul. */
export function cString(text: string): Uint8Array {
	const bytes = new Uint8Array(text.length + 1)
	writeLatin1(bytes, 0, text)
	return bytes
}

/** Each string followed by a nul. */
export function cStrings(strings: readonly string[]): Uint8Array {
	let size = 0
	for (const s of strings) size += s.length + 1
	const bytes = new Uint8Array(size)
	let at = 0
	for (const s of strings) at = writeLatin1(bytes, at, s) + 1
	return bytes
}

/** The nul-terminated strings in `payload`; what follows the last nul is ignored. */
export function splitCStrings(payload: Uint8Array): string[] {
	const strings: string[] = []
	let start = 0
	for (;;) {
		const nul = payload.indexOf(0, start)
		if (nul < 0) return strings
		strings.push(decodeLatin1(payload, start, nul))
		start = nul + 1
	}
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
	if (a === b) return true
	if (a.length !== b.length) return false
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
	return true
}
