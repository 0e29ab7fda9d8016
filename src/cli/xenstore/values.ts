const ESCAPES: ReadonlyMap<number, string> = new Map([
	[0x09, '\\t'],
	[0x0a, '\\n'],
	[0x0d, '\\r'],
	[0x5c, '\\\\'],
])
const UNESCAPES: Readonly<Record<string, number>> = { t: 0x09, n: 0x0a, r: 0x0d, '\\': 0x5c }

/** A value as the programs print it: printable ASCII, everything else as \t \n \r \\, \nnn (octal, below 8) or \xnn. */
export function escapeValue(value: Uint8Array): string {
	let text = ''
	for (const byte of value) {
		if (byte >= 0x20 && byte <= 0x7e && byte !== 0x5c) text += String.fromCharCode(byte)
		else text += ESCAPES.get(byte) ?? (byte < 8 ? `\\${byte.toString(8).padStart(3, '0')}` : `\\x${byte.toString(16).padStart(2, '0')}`)
	}
	return text
}

/** The value that a word of the command line stands for; another letter after a backslash stands for itself. */
export function unescapeValue(word: string): Uint8Array {
	const parts: Uint8Array[] = []
	for (const [piece] of word.matchAll(/\\(?:x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.|$)|[^\\]+/gs)) {
		if (piece[0] !== '\\') parts.push(Buffer.from(piece))
		else if (piece === '\\') continue
		else if (/^\\x./.test(piece)) parts.push(Uint8Array.of(Number.parseInt(piece.slice(2), 16)))
		else if (/^\\[0-7]/.test(piece)) parts.push(Uint8Array.of(Number.parseInt(piece.slice(1), 8) & 0xff))
		else parts.push(UNESCAPES[piece[1]!] === undefined ? Buffer.from(piece.slice(1)) : Uint8Array.of(UNESCAPES[piece[1]!]!))
	}
	return Buffer.concat(parts)
}
