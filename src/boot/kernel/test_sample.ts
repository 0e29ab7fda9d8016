/** For tests: bytes that exercise every kind of match, and look enough like code for the x86 filter. Seeded, so always the same. */
export function sampleBytes(): Uint8Array {
	const bytes = new Uint8Array(48_000)
	let seed = 0x2545f491
	const random = () => {
		seed ^= seed << 13
		seed ^= seed >>> 17
		seed ^= seed << 5
		return seed >>> 0
	}
	const words = Array.from({ length: 24 }, () => Uint8Array.from({ length: 2 + (random() % 14) }, () => random()))
	let at = 0
	for (; at < 600; at++) bytes[at] = random()
	while (at < bytes.length - 700) {
		const kind = random() % 40
		const word = words[random() % words.length]!
		if (kind === 0) at += random() % 3000
		else if (kind < 3) {
			// CALL to one place: a relative target that differs at each place.
			bytes[at] = 0xe8
			new DataView(bytes.buffer).setInt32(at + 1, 0x1200 - at - 5, true)
			at += 5
		} else {
			bytes.set(word, Math.min(at, bytes.length - word.length))
			at += word.length
		}
	}
	// A copy from almost the whole way back.
	bytes.copyWithin(bytes.length - 600, 0, 600)
	return bytes
}
