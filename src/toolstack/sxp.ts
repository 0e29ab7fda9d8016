/** An S-expression as xend wrote them: atoms and lists. */
export type Sxp = string | number | readonly Sxp[]

/** One line, `(name (child 1) (other "two words"))`. */
export function showSxp(value: Sxp): string {
	if (typeof value === 'number') return String(value)
	if (typeof value === 'string') return showAtom(value)
	return `(${value.map(showSxp).join(' ')})`
}

/**
 * As `xm list --long` prints them: a list that does not fit the rest of the line puts each element after the first on its own,
 * four further in, and its closing parenthesis under the opening one.
 */
export function prettySxp(value: Sxp, width = 80, indent = 0): string {
	const flat = showSxp(value)
	if (typeof value === 'string' || typeof value === 'number' || indent + flat.length <= width) return flat
	const inner = `\n${' '.repeat(indent + 4)}`
	const [head, ...rest] = value
	const shown = rest.map((item) => inner + prettySxp(item, width, indent + 4))
	return `(${head === undefined ? '' : prettySxp(head, width, indent + 1)}${shown.join('')}\n${' '.repeat(indent)})`
}

function showAtom(text: string): string {
	if (text === '') return ''
	if (/^[^\s()'"\\]+$/.test(text)) return text
	if (!text.includes("'")) return `'${text.replaceAll('\\', '\\\\')}'`
	return `"${text.replace(/[\\"]/g, '\\$&')}"`
}
