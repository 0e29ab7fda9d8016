import { overrideValue } from './config.ts'
import { type Assignment, ConfigError } from './config_parser.ts'
import { parseSxp, type SxpNode } from './sxp_parser.ts'

/** What `xm list --long` says of a domain beside its configuration. */
const OF_ITS_LIFE = new Set(
	'domid status state store_mfn console_mfn start_time cpu_time online_vcpus bootloader_args shadow_memory security'.split(' '),
)
/** In an image: xend's word, and the variable. */
const IMAGE: ReadonlyMap<string, string> = new Map([
	['kernel', 'kernel'],
	['ramdisk', 'ramdisk'],
	['root', 'root'],
	['args', 'extra'],
])
/** Devices by their kind, and the variable that would give them. */
const DEVICES: ReadonlyMap<string, string> = new Map([
	['vbd', 'disk'],
	['tap', 'disk'],
	['vif', 'vif'],
	['vfb', 'vfb'],
	['vtpm', 'vtpm'],
	['pci', 'pci'],
	['vscsi', 'vscsi'],
])

type ListNode = Extract<SxpNode, { readonly items: readonly SxpNode[] }>

/** The variables of a configuration as S-expression: what `xm create -n` and `xm list --long` print. Throws ConfigError with the place of what is wrong. */
export function parseSxpConfig(text: string, file: string): Map<string, Assignment> {
	const [top, ...more] = parseSxp(text, file)
	if (top === undefined) throw new ConfigError(file, { line: 1, column: 1 }, 'there is no configuration here')
	if (more[0] !== undefined) throw new ConfigError(file, more[0], 'one configuration was expected')
	const [kind] = nameOf(top, file)
	if (kind !== 'vm' && kind !== 'domain') throw new ConfigError(file, top, `a configuration begins with (vm or (domain, not (${kind}`)
	const values = new Map<string, Assignment>()
	const set: Setter = (name, { line, column }, texts) => {
		const value = texts.length > 1 ? [...texts] : overrideValue(name, texts[0] ?? '')
		values.set(name, { value, line, column })
	}
	for (const part of (top as ListNode).items.slice(1)) {
		const [name, ...rest] = nameOf(part, file)
		if (name === 'image') setImage(rest, file, set)
		else if (name === 'device') setDevice(rest[0] ?? part, file, set)
		else if (!OF_ITS_LIFE.has(name)) set(name, rest[0] ?? part, atoms(name === 'cpus' ? spread(rest) : rest, file))
	}
	return values
}

type Setter = (name: string, at: SxpNode, texts: readonly string[]) => void

/** `(image (linux (kernel /k) (args x)))`. */
function setImage([image]: readonly SxpNode[], file: string, set: Setter): void {
	if (image === undefined) return
	const [builder] = nameOf(image, file)
	set('builder', image, [builder])
	for (const part of (image as ListNode).items.slice(1)) {
		const [name, ...rest] = nameOf(part, file)
		set(IMAGE.get(name) ?? name, rest[0] ?? part, atoms(rest, file))
	}
}

/** The variable's own check says why it can't be had. */
function setDevice(device: SxpNode, file: string, set: Setter): void {
	const [kind] = nameOf(device, file)
	set(DEVICES.get(kind) ?? kind, device, [kind])
}

/** `(cpus (0 1))` is `(cpus 0 1)`: a list, which is one for each virtual processor. */
function spread(nodes: readonly SxpNode[]): readonly SxpNode[] {
	return nodes.flatMap((node) => ('items' in node ? node.items : [node]))
}

/** What a list begins with, and the rest of it. */
function nameOf(node: SxpNode, file: string): [string, ...SxpNode[]] {
	const [name, ...rest] = 'items' in node ? node.items : []
	if (name === undefined || 'items' in name)
		throw new ConfigError(file, node, 'a list that begins with a name was expected, like (memory 64)')
	return [name.atom, ...rest]
}

function atoms(nodes: readonly SxpNode[], file: string): string[] {
	return nodes.map((node) => {
		if ('items' in node) throw new ConfigError(file, node, 'a value was expected, not a list')
		return node.atom
	})
}
