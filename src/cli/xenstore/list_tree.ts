import { XenstoreError, type XenstoreNodes } from '../../xenstore/client.ts'
import { escapeValue } from './values.ts'

export interface TreeShape {
	/** Whole paths, unwrapped. */
	readonly flat: boolean
	readonly permissions: boolean
	/** Of the terminal. */
	readonly columns: number | undefined
}

/** ` = "..."` */
const TAG_LENGTH = 8
const WIDTH = 80
/** Where permissions begin, in columns. */
const PERMISSIONS_AT = 60

/** Prints all below `path`, as xenstore-ls does. Returns why it can't, in words; what goes away meanwhile is left out. */
export async function listTree(
	nodes: XenstoreNodes,
	path: string,
	shape: TreeShape,
	output: (text: string) => void,
): Promise<string | undefined> {
	const names = await unlessRefused(nodes.ls(path))
	if (names instanceof XenstoreError) return names.description
	if (names === undefined) return 'No such file or directory'
	await below(nodes, path, names, 0, shape, output)
	return undefined
}

async function below(
	nodes: XenstoreNodes,
	path: string,
	names: readonly string[],
	depth: number,
	shape: TreeShape,
	output: (text: string) => void,
): Promise<void> {
	for (const name of names) {
		const node = `${path}${path.endsWith('/') ? '' : '/'}${name}`
		const value = await unlessRefused(nodes.readBytes(node))
		const permissions = shape.permissions ? await unlessRefused(nodes.getPerms(node)) : undefined
		const line = shape.flat ? node : ' '.repeat(depth) + name
		const shown = value === undefined || value instanceof XenstoreError ? `${line}:\n` : valueText(line, value, shape)
		output(`${shown}${Array.isArray(permissions) ? `  (${permissions.join(',')})` : ''}\n`)
		const children = await unlessRefused(nodes.ls(node))
		if (Array.isArray(children)) await below(nodes, node, children, depth + 1, shape, output)
	}
}

function valueText(line: string, value: Uint8Array, { flat, permissions, columns }: TreeShape): string {
	const text = escapeValue(value)
	if (flat) return `${line} = "${text}"${permissions ? ' ' : ''}`
	const width = columns === undefined ? WIDTH : columns - 2
	const head = line.slice(0, Math.max(width - TAG_LENGTH, 0))
	if (width < head.length + value.length + TAG_LENGTH)
		return `${head} = "${text.slice(0, Math.max(width - TAG_LENGTH - head.length, 0))}\\..."`
	let shown = `${head} = "${text}"`
	if (!permissions) return shown
	shown += ' '
	while (shown.length < Math.min(PERMISSIONS_AT, width)) shown += shown.length & 1 ? '.' : ' '
	return shown
}

async function unlessRefused<T>(value: Promise<T>): Promise<T | XenstoreError | undefined> {
	try {
		return await value
	} catch (error) {
		if (error instanceof XenstoreError && error.errno !== 'EIO') return error
		throw error
	}
}
