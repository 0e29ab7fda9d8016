/** What a program for init scripts says of words that mean nothing to it. */
export function unknownTask(program: string, words: readonly string[]): string {
	return `Error: '${program} ${words.join(' ')}' is not valid: the one word after ${program} must be start, stop, restart or status`
}
