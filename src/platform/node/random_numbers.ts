/** 32-bit numbers of the host's generator, fit for keys. It is asked for many at once: a guest that wants numbers wants several. */
export function randomNumbers(): () => number {
	const numbers = new Int32Array(64)
	let next = numbers.length
	return () => {
		if (next === numbers.length) {
			crypto.getRandomValues(numbers)
			next = 0
		}
		const number = numbers[next] as number
		numbers[next++] = 0
		return number
	}
}
