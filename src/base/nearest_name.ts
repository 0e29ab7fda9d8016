/** The known name nearest to `name` by edit distance, in letters that are inserted, removed or changed. */
export function nearestName(name: string, known: Iterable<string>): { readonly name: string; readonly distance: number } {
	let best = { name: '', distance: Number.POSITIVE_INFINITY }
	for (const candidate of known) {
		const distance = editDistance(name, candidate)
		if (distance < best.distance) best = { name: candidate, distance }
	}
	return best
}

function editDistance(a: string, b: string): number {
	let row = Array.from({ length: b.length + 1 }, (_, i) => i)
	for (let i = 1; i <= a.length; i++) {
		const next = [i]
		for (let j = 1; j <= b.length; j++) {
			const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
			next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
		}
		row = next
	}
	return row[b.length]!
}
