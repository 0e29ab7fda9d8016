/** Drops elements, ever smaller runs of them, as long as the rest still `fails`. `keep` tells which ones must stay. */
export function minimise<T>(items: readonly T[], keep: (item: T) => boolean, fails: (items: readonly T[]) => boolean): readonly T[] {
	let left = items
	for (let size = Math.max(1, left.length >> 1); ; ) {
		let dropped = false
		for (let at = 0; at < left.length; ) {
			const rest = left.filter((item, i) => i < at || i >= at + size || keep(item))
			if (rest.length < left.length && fails(rest)) {
				left = rest
				dropped = true
			} else at += size
		}
		if (!dropped && size === 1) return left
		if (!dropped || size > left.length) size = Math.max(1, size >> 1)
	}
}
