/** Text for the real programs to work on: sentences of made-up words, the same every time, that compress about as prose does. */

const TEXT_BYTES = 3_000_000
const PART_BYTES = 500_000
const WORDS = 4000
const CONSONANTS = 'bcdfghjklmnprstvwz'
const VOWELS = 'aeiou'

/** Contents by file name: `text`, and `part`, its beginning. */
export function makeText(): Record<'text' | 'part', string> {
	const random = generator(0x9e37_79b9)
	const letter = (letters: string) => letters[random(letters.length)]!
	const syllables = () => Array.from({ length: 1 + random(4) }, () => letter(CONSONANTS) + letter(VOWELS))
	const vocabulary = Array.from({ length: WORDS }, () => syllables().join(''))
	// Some words are much more frequent than others, as in a language.
	const word = () => vocabulary[Math.min(random(WORDS), random(WORDS), random(WORDS))]!
	const sentence = () => {
		const words = Array.from({ length: 4 + random(12) }, word).join(' ')
		return `${words[0]!.toUpperCase()}${words.slice(1)}${random(6) === 0 ? `, ${random(100_000)}` : ''}.\n`
	}
	const sentences: string[] = []
	for (let size = 0; size < TEXT_BYTES; size += sentences.at(-1)!.length) sentences.push(sentence())
	const text = sentences.join('').slice(0, TEXT_BYTES)
	return { text, part: text.slice(0, PART_BYTES) }
}

/** Marsaglia's xorshift32. Each call returns a whole number below its argument. */
function generator(seed: number): (below: number) => number {
	let state = seed
	return (below) => {
		state ^= state << 13
		state ^= state >>> 17
		state ^= state << 5
		return (state >>> 0) % below
	}
}
