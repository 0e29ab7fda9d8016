import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { Command, CommandContext } from './command.ts'
import { ALL_COMMANDS } from './command_names.ts'

const BANNER = 'The Xen Master. Type "help" for a list of functions.'
const PROMPT = 'xm> '
const ENDS = ['quit', 'exit']

/** Subcommands, one a line, until quit, exit or the end of what is typed. Lines of before come back with the arrows. */
export const SHELL: Command = {
	name: 'shell',
	args: '',
	help: 'Launch an interactive shell.',
	options: [],
	operands: [0, 0],
	usageOnFault: true,
	async run(context) {
		context.print(BANNER)
		if (context.stdin.isTTY === true) await interactive(context)
		else await fromPipe(context)
		return 0
	},
}

/** The terminal is the command's own while one runs: xm console and xm top read it. */
async function interactive(context: CommandContext): Promise<void> {
	let history: string[] = []
	for (;;) {
		const line = await askLine(context, history, (next) => {
			history = next
		})
		if (line === undefined) return context.print('')
		if (!(await obey(line, context))) return
	}
}

/** A line; undefined at the end of input. Ctrl-C forgets what was typed. */
function askLine(context: CommandContext, history: string[], remember: (history: string[]) => void): Promise<string | undefined> {
	const { stdin, stdout } = context
	return new Promise((resolve) => {
		const complete = completer(context)
		const lines = createInterface({
			input: stdin,
			output: stdout,
			terminal: true,
			history,
			prompt: PROMPT,
			completer: (text: string, done: (error: null, found: [string[], string]) => void) =>
				void complete(text).then((found) => done(null, found)),
		})
		let line: string | undefined
		lines.on('history', remember)
		lines.on('SIGINT', () => {
			lines.write(null, { ctrl: true, name: 'e' })
			lines.write(null, { ctrl: true, name: 'u' })
			stdout.write('\n')
			lines.prompt()
		})
		lines.on('line', (text) => {
			line = text
			lines.close()
		})
		lines.on('close', () => resolve(line))
		lines.prompt()
	})
}

/** Subcommands for the first word, domains' names for the others. */
export function completer(context: Pick<CommandContext, 'connectRunning'>): (line: string) => Promise<[string[], string]> {
	return async (line) => {
		const [typed = ''] = /\S*$/.exec(line) ?? []
		const first = line.trimStart() === typed
		const domains = async () => ((await (await context.connectRunning())?.list()) ?? []).map(({ name }) => name)
		const names = first ? ALL_COMMANDS : await domains().catch(() => [])
		return [names.filter((name) => name.startsWith(typed)), typed]
	}
}

/** Commands have nothing to read: the lines are ours. */
async function fromPipe(context: CommandContext): Promise<void> {
	const deaf = { ...context, stdin: Readable.from([]) }
	for await (const line of createInterface({ input: context.stdin })) {
		if (!(await obey(line, deaf))) return
	}
}

/** False when the line ends the shell. */
async function obey(line: string, context: CommandContext): Promise<boolean> {
	const words = splitWords(line)
	if (words === undefined) {
		context.complain('Error: No closing quotation')
		return true
	}
	const [name] = words
	if (name === undefined) return true
	if (ENDS.includes(name)) return false
	// A shell in a shell would read what is meant for the other.
	if (name === 'shell') return true
	// main.ts has this command in its table.
	const { runXm } = await import('./main.ts')
	await runXm(words, context)
	return true
}

/** Words as a POSIX shell splits them, without its expansions; undefined when a quotation does not end. */
export function splitWords(line: string): string[] | undefined {
	const words: string[] = []
	let word: string | undefined
	for (let at = 0; at < line.length; at++) {
		const character = line[at] as string
		if (/\s/.test(character)) {
			if (word !== undefined) words.push(word)
			word = undefined
		} else if (character === "'" || character === '"') {
			const end = closingQuote(line, at)
			if (end < 0) return undefined
			const inside = line.slice(at + 1, end)
			word = (word ?? '') + (character === "'" ? inside : inside.replace(/\\(["\\$`])/g, '$1'))
			at = end
		} else if (character === '\\') {
			if (at + 1 === line.length) return undefined
			word = (word ?? '') + line[++at]
		} else word = (word ?? '') + character
	}
	if (word !== undefined) words.push(word)
	return words
}

function closingQuote(line: string, from: number): number {
	const quote = line[from]
	for (let at = from + 1; at < line.length; at++) {
		if (quote === '"' && line[at] === '\\') at++
		else if (line[at] === quote) return at
	}
	return -1
}
