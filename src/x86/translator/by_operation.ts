/** A function of an operation's name that computes its result for each name once. */
export function byOperation<T>(of: (operation: string) => T): (operation: string) => T {
	const known = new Map<string, T>()
	return (operation) => {
		let result = known.get(operation)
		if (result === undefined) {
			result = of(operation)
			known.set(operation, result)
		}
		return result
	}
}
