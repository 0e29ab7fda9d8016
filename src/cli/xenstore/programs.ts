import { type XenstoreClient, XenstoreError, type XenstoreNodes } from '../../xenstore/client.ts'
import { type OptionSpec, type ParsedArguments, parseArguments, UsageError } from '../options.ts'
import { listTree } from './list_tree.ts'
import { escapeValue, unescapeValue } from './values.ts'

/** What a program may touch. */
export interface ProgramContext {
	/** Connects when the words make sense. */
	connect(): Promise<XenstoreClient>
	write(bytes: Uint8Array | string): void
	/** A line on stderr. */
	complain(line: string): void
	/** Columns of the terminal that is written to; undefined when it is none. */
	readonly columns: number | undefined
}

/** Ends the program with a status and what it says on stderr. */
class Failure extends Error {
	readonly status: number
	constructor(status: number, message: string) {
		super(message)
		this.status = status
	}
}

interface Task {
	readonly nodes: XenstoreNodes
	readonly client: XenstoreClient
	readonly args: ParsedArguments
	readonly context: ProgramContext
	/** Held back until a transaction has succeeded. */
	output(bytes: Uint8Array | string): void
}

interface Program {
	readonly usage: string
	readonly options: readonly OptionSpec[]
	/** For so many words all is done in one transaction. */
	transaction(words: number): boolean
	/** False for a number of words that makes no sense. */
	takes(words: number): boolean
	run(task: Task): Promise<number>
}

const flag = (short: string, long: string): OptionSpec => ({ short, long, help: '' })
const COMMON: readonly OptionSpec[] = [flag('h', 'help'), flag('s', 'socket')]
const some = (words: number) => words > 0

const PROGRAMS: Readonly<Record<string, Program>> = {
	read: {
		usage: '[-h] [-p] [-R] key [...]',
		options: [flag('p', 'prefix'), flag('R', 'raw')],
		transaction: (words) => words > 1,
		takes: some,
		run: read,
	},
	write: {
		usage: '[-h] [-R] key value [...]',
		options: [flag('R', 'raw')],
		transaction: (words) => words > 2,
		takes: (words) => words > 0 && words % 2 === 0,
		run: write,
	},
	list: { usage: '[-h] [-p] key [...]', options: [flag('p', 'prefix')], transaction: () => true, takes: some, run: list },
	ls: {
		usage: '[-h] [-f] [-p] [path]',
		options: [flag('f', 'flat'), flag('p', 'prefix')],
		transaction: () => false,
		takes: () => true,
		run: ls,
	},
	rm: { usage: '[-h] [-t] key [...]', options: [flag('t', 'tidy')], transaction: () => true, takes: some, run: remove },
	exists: { usage: '[-h] key', options: [], transaction: () => true, takes: some, run: exists },
	chmod: {
		usage: '[-h] [-u] [-r] key <mode [modes...]>',
		options: [flag('u', 'upto'), flag('r', 'recurse')],
		transaction: () => true,
		takes: some,
		run: chmod,
	},
	watch: {
		usage: '[-h] [-n NR] [-d DEPTH] key [...]',
		options: [
			{ short: 'n', long: 'number', value: 'NR', help: '' },
			{ short: 'd', long: 'depth', value: 'DEPTH', help: '' },
		],
		transaction: () => false,
		takes: some,
		run: watch,
	},
}

/**
 * Runs one of the XenStore programs, `xenstore-read` and its like, or `xenstore read`. Options, outputs, messages and exit statuses are those of
 * Xen's own (tools/xs-clients of Xen's sources).
 */
export async function runXenstore(name: string, words: readonly string[], context: ProgramContext): Promise<number> {
	const mode = name.startsWith('xenstore-') ? name.slice('xenstore-'.length) : words[0]
	const rest = name.startsWith('xenstore-') ? words : words.slice(1)
	const complain = (message: string) => context.complain(`${name}: ${message}`)
	if (mode === undefined) {
		complain(`Usage: ${name} <mode> [-h] [...]`)
		return 1
	}
	if (mode === 'control') return control(name, rest, context)
	const program = Object.hasOwn(PROGRAMS, mode) ? PROGRAMS[mode]! : undefined
	if (program === undefined) {
		complain(`unknown mode ${mode}; it must be one of ${[...Object.keys(PROGRAMS), 'control'].join(', ')}`)
		return 1
	}
	const usage = `Usage: ${name} ${name.startsWith('xenstore-') ? '' : `${mode} `}${program.usage}`
	let args: ParsedArguments
	try {
		args = parseArguments(rest, [...COMMON, ...program.options])
	} catch (error) {
		if (!(error instanceof UsageError)) throw error
		complain(error.message)
		complain(usage)
		return 1
	}
	if (args.options.has('help') || !program.takes(args.positional.length)) {
		complain(usage)
		return args.options.has('help') ? 0 : 1
	}
	try {
		return await perform(program, args, context)
	} catch (error) {
		if (error instanceof Failure) complain(error.message)
		else if (error instanceof XenstoreError) complain(error.message)
		else throw error
		return error instanceof Failure ? error.status : 1
	}
}

/** What the server is to be asked for a live update in the words of Xen's xenstore-control; undefined when they are others. */
function liveUpdateRequests([command, ...words]: readonly string[]): readonly (readonly string[])[] | undefined {
	if (command !== 'live-update' || words.length === 0 || words.includes('-s')) return undefined
	const { options, positional } = parseArguments(words, LIVE_UPDATE_OPTIONS)
	if (positional.length !== 1) return undefined
	const commandLine = options.get('c')
	const start = ['-s', '-t', String(options.get('t') ?? LIVE_UPDATE_TIMEOUT_S), ...(options.has('F') ? ['-F'] : [])]
	return [['-f', ...positional], ...(commandLine === undefined ? [] : [['-c', String(commandLine)]]), start].map((request) => [
		command,
		...request,
	])
}

const LIVE_UPDATE_TIMEOUT_S = 60
const LIVE_UPDATE_OPTIONS: readonly OptionSpec[] = [
	{ short: 'c', long: '', value: 'CMDLINE', help: '' },
	flag('F', ''),
	{ short: 't', long: '', value: 'TIMEOUT', help: '' },
]

/** Asks the server itself for something: XS_CONTROL with all words, as they are (live-update -s, quota, ...). */
async function control(name: string, words: readonly string[], context: ProgramContext): Promise<number> {
	if (words.length === 0 || words[0] === '-h') {
		context.complain(`${name}: Usage: ${name} <command> [<arg>...]`)
		return words.length === 0 ? 1 : 0
	}
	const client = await context.connect()
	try {
		let answer = ''
		for (const request of liveUpdateRequests(words) ?? [words]) answer = await client.control(...request)
		context.write(`${answer}\n`)
		return words[0] === 'live-update' && answer !== 'OK' ? 1 : 0
	} catch (error) {
		if (!(error instanceof XenstoreError || error instanceof UsageError)) throw error
		context.complain(`${name}: ${words[0]}: ${error instanceof XenstoreError ? error.description : error.message}`)
		return 1
	} finally {
		client.close()
	}
}

/** What is said and left undone when a task ends with a status that is not 0: a transaction is given up. */
class Abort extends Error {
	readonly status: number
	constructor(status: number) {
		super('given up')
		this.status = status
	}
}

async function perform(program: Program, args: ParsedArguments, context: ProgramContext): Promise<number> {
	const client = await context.connect()
	try {
		if (!program.transaction(args.positional.length)) {
			return await program.run({ nodes: client, client, args, context, output: (bytes) => context.write(bytes) })
		}
		let held: (Uint8Array | string)[] = []
		await client.transaction(async (nodes) => {
			held = []
			const status = await program.run({ nodes, client, args, context, output: (bytes) => void held.push(bytes) })
			if (status !== 0) throw new Abort(status)
		})
		for (const bytes of held) context.write(bytes)
		return 0
	} catch (error) {
		if (error instanceof Abort) return error.status
		throw error
	} finally {
		client.close()
	}
}

/** Undefined for whatever reason the server refuses, as the programs take it. */
async function unlessRefused<T>(value: Promise<T>): Promise<T | undefined> {
	try {
		return await value
	} catch (error) {
		if (error instanceof XenstoreError && error.errno !== 'EIO') return undefined
		throw error
	}
}

async function read({ nodes, args, output }: Task): Promise<number> {
	for (const path of args.positional) {
		const value = await unlessRefused(nodes.readBytes(path))
		if (value === undefined) throw new Failure(1, `couldn't read path ${path}`)
		if (args.options.has('prefix')) output(`${path}: `)
		output(args.options.has('raw') ? value : `${escapeValue(value)}\n`)
	}
	return 0
}

async function write({ nodes, args }: Task): Promise<number> {
	for (let n = 0; n < args.positional.length; n += 2) {
		const [path, word] = args.positional.slice(n, n + 2) as [string, string]
		const value = args.options.has('raw') ? Buffer.from(word) : unescapeValue(word)
		try {
			await nodes.write(path, value)
		} catch (error) {
			if (error instanceof XenstoreError && error.errno !== 'EIO') throw new Failure(1, `could not write path ${path}`)
			throw error
		}
	}
	return 0
}

async function list({ nodes, args, output }: Task): Promise<number> {
	for (const path of args.positional) {
		const names = await unlessRefused(nodes.ls(path))
		if (names === undefined) throw new Failure(1, `could not list path ${path}`)
		const prefix = args.options.has('prefix') ? `${path === '/' ? '' : path}/` : ''
		for (const name of names) output(`${prefix}${name}\n`)
	}
	return 0
}

async function ls({ nodes, args, context, output }: Task): Promise<number> {
	const paths = args.positional.length === 0 ? ['/'] : args.positional
	const shape = { flat: args.options.has('flat'), permissions: args.options.has('prefix'), columns: context.columns }
	for (const path of paths) {
		const error = await listTree(nodes, path, shape, output)
		if (error !== undefined) throw new Failure(1, `xs_directory (${path}): ${error}`)
	}
	return 0
}

async function remove({ nodes, args }: Task): Promise<number> {
	for (const word of args.positional) {
		let path = word
		do {
			if (!(await unlessRefused(nodes.remove(path)))) throw new Failure(1, `could not remove path ${path}`)
			path = path.slice(0, Math.max(path.lastIndexOf('/'), 0))
		} while (args.options.has('tidy') && path !== '' && (await isBare(nodes, path)))
	}
	return 0
}

/** A node without a value and without children. */
async function isBare(nodes: XenstoreNodes, path: string): Promise<boolean> {
	const value = await unlessRefused(nodes.readBytes(path))
	return value?.length === 0 && (await unlessRefused(nodes.ls(path)))?.length === 0
}

async function exists({ nodes, args }: Task): Promise<number> {
	for (const path of args.positional) if ((await unlessRefused(nodes.readBytes(path))) === undefined) return 1
	return 0
}

async function chmod({ nodes, args }: Task): Promise<number> {
	const [path, ...modes] = args.positional as [string, ...string[]]
	for (const mode of modes) {
		if (!/^[nrwb]/.test(mode)) throw new Failure(1, `Invalid permission specification: '${mode[0]}'`)
	}
	const permissions = modes.map((mode) => `${mode[0]}${Number.parseInt(mode.slice(1), 10) || 0}`)
	const set = async (node: string): Promise<void> => {
		try {
			await nodes.setPerms(node, permissions)
		} catch (error) {
			if (error instanceof XenstoreError && error.errno !== 'EIO') {
				throw new Failure(1, `Error occurred setting permissions on '${node}': ${error.description}`)
			}
			throw error
		}
	}
	const below = async (node: string): Promise<void> => {
		for (const name of (await unlessRefused(nodes.ls(node))) ?? []) {
			await set(`${node}/${name}`)
			await below(`${node}/${name}`)
		}
	}
	await set(path)
	for (let node = path; args.options.has('upto') && node.lastIndexOf('/') > 0; ) {
		node = node.slice(0, node.lastIndexOf('/'))
		await set(node)
	}
	if (args.options.has('recurse')) await below(path)
	return 0
}

/** Prints the path of each event; ends after so many, or never. */
async function watch({ client, args, output }: Task): Promise<number> {
	const number = args.options.get('number')
	const depth = args.options.get('depth')
	let left = number === undefined ? Number.POSITIVE_INFINITY : Number.parseInt(String(number), 10) || 0
	if (left === 0) return 0
	return new Promise((resolve, reject) => {
		const onEvent = (path: string) => {
			if (left <= 0) return
			output(`${path}\n`)
			if (--left <= 0) resolve(0)
		}
		const options = depth === undefined ? {} : { depth: Number.parseInt(String(depth), 10) || 0 }
		const all = args.positional.map((path) =>
			client.watch(path, onEvent, options).catch((error) => {
				if (!(error instanceof XenstoreError) || error.errno === 'EIO') throw error
				throw new Failure(1, `Unable to add watch on ${path}`)
			}),
		)
		Promise.all(all).catch(reject)
		client.closed.then(() => reject(new Failure(1, 'the connection to XenStore is closed')))
	})
}
