import { ConfigError } from './python/errors.ts'

/** Where something stands in a file, from 1. */
interface Position {
	readonly line: number
	readonly column: number
}

/** An S-expression with its place: the text of an atom, or a list's items. */
export type SxpNode = Position & ({ readonly atom: string } | { readonly items: readonly SxpNode[] })

/** Lists inside lists: xend's files have one. */
const MAX_DEPTH = 64

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', '\\': '\\', "'": "'", '"': '"' }

/**
 * Reads S-expressions as xend's own parser takes them: `#` begins a comment, atoms are bare or quoted either way, a quoted one has C's
 * escapes, and a backslash before anything else stands for itself. Throws ConfigError with the place of what is wrong.
 */
export function parseSxp(text: string, file: string): SxpNode[] {
	const top: SxpNode[] = []
	const open: { readonly at: Position; readonly items: SxpNode[] }[] = []
	const add = (node: SxpNode) => (open.at(-1)?.items ?? top).push(node)
	let line = 1
	let lineStart = 0
	let at = 0
	const here = (): Position => ({ line, column: at - lineStart + 1 })
	const newLine = () => {
		line++
		lineStart = at + 1
	}
	while (at < text.length) {
		const character = text[at] as string
		if (character === '\n') newLine()
		if (/\s/.test(character)) at++
		else if (character === '#') at = endOfLine(text, at)
		else if (character === '(') {
			if (open.length === MAX_DEPTH) throw new ConfigError(file, here(), `lists may be nested ${MAX_DEPTH} deep`)
			open.push({ at: here(), items: [] })
			at++
		} else if (character === ')') {
			const list = open.pop()
			if (list === undefined) throw new ConfigError(file, here(), 'this parenthesis closes nothing')
			add({ ...list.at, items: list.items })
			at++
		} else if (character === "'" || character === '"') {
			const start = here()
			let atom = ''
			for (at++; text[at] !== character; ) {
				if (at >= text.length) throw new ConfigError(file, start, 'this string has no end')
				if (text[at] === '\n') newLine()
				const [value, length] = text[at] === '\\' ? escaped(text, at) : [text[at] as string, 1]
				atom += value
				at += length
			}
			at++
			add({ ...start, atom })
		} else {
			const start = here()
			BARE.lastIndex = at
			const [atom] = BARE.exec(text) as RegExpExecArray
			at += atom.length
			add({ ...start, atom })
		}
	}
	const left = open.at(-1)
	if (left !== undefined) throw new ConfigError(file, left.at, 'this parenthesis is not closed')
	return top
}

const BARE = /[^\s()'"#]+/y

function endOfLine(text: string, at: number): number {
	const end = text.indexOf('\n', at)
	return end < 0 ? text.length : end
}

/** What a backslash at `at` and what follows stand for, and how many characters that is. */
function escaped(text: string, at: number): [value: string, length: number] {
	const code = /^\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3}))/.exec(text.slice(at, at + 4))
	if (code !== null) {
		const value = code[1] === undefined ? Number.parseInt(code[2] as string, 8) : Number.parseInt(code[1], 16)
		return [String.fromCharCode(value & 0xff), code[0].length]
	}
	const simple = ESCAPES[text[at + 1] ?? '']
	return simple === undefined ? ['\\', 1] : [simple, 2]
}
