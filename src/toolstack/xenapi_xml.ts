/**
 * A configuration as the Xen-API's XML: what `xm create -x` prints. Element names, attributes and their order are those of Xen 4.1's create.dtd;
 * a paravirtual guest without devices needs a part of them only.
 */
import { ConfigValueError, type ConfigValues, commandLine, type DomainConfig, type ExitAction } from './config.ts'

const MIB = 1024 * 1024
/** NORMAL_EXIT and CRASH_BEHAVIOUR of the DTD. */
const NORMAL_EXITS: readonly ExitAction[] = ['destroy', 'restart']
const CRASH_BEHAVIOURS: Readonly<Record<ExitAction, string>> = {
	destroy: 'destroy',
	restart: 'restart',
	preserve: 'preserve',
	'rename-restart': 'rename_restart',
	'coredump-destroy': 'coredump_and_destroy',
	'coredump-restart': 'coredump_and_restart',
}

interface Element {
	readonly name: string
	readonly attributes: readonly (readonly [name: string, value: string | number])[]
	readonly content: readonly Element[] | string
}

/**
 * The document, in lines without one after the last. `values` are the variables that `config` was made of: of them come those that have no
 * effect here. A `transient` domain is gone when it ends, as one that is not managed. Throws ConfigValueError for what XML has no words for.
 */
export function configXml(config: DomainConfig, values: ConfigValues, { transient }: { readonly transient: boolean }): string {
	for (const key of ['kernel', 'ramdisk', 'root', 'extra'] as const) refuseUnprintable(key, config[key] ?? '')
	const document = element('xm', [], [vm(config, values, transient)])
	return ['<?xml version="1.0" encoding="UTF-8"?>', ...lines(document, '')].join('\n')
}

function vm(config: DomainConfig, values: ConfigValues, transient: boolean): Element {
	return element(
		'vm',
		[
			['is_a_template', 'false'],
			['auto_power_on', 'false'],
			['s3_integrity', 0],
			['vcpus_max', config.vcpus],
			['vcpus_at_startup', config.vcpus],
			['pool_name', text(values.pool) || 'Pool-0'],
			['actions_after_shutdown', normalExit('on_poweroff', config.on_poweroff)],
			['actions_after_reboot', normalExit('on_reboot', config.on_reboot)],
			['actions_after_crash', CRASH_BEHAVIOURS[config.on_crash]],
			['PCI_bus', ''],
			['superpages', 0],
		],
		[
			element('name', [], [element('label', [], config.name), element('description', [], ' ')]),
			element('version', [], '0'),
			element('pv', [
				['kernel', config.kernel],
				['bootloader', ''],
				['ramdisk', config.ramdisk ?? ''],
				['args', commandLine(config)],
				['bootloader_args', ''],
			]),
			element('memory', [
				['static_min', 0],
				['static_max', config.maxmem_mib * MIB],
				['dynamic_min', config.memory_mib * MIB],
				['dynamic_max', config.memory_mib * MIB],
			]),
			...vcpuParameters(config, values),
			...(transient ? [keyValue('other_config', 'transient', 'True')] : []),
		],
	)
}

function vcpuParameters(config: DomainConfig, { cpu_weight, cpu_cap, cpus }: ConfigValues): Element[] {
	const maps = Array.isArray(cpus) ? cpus.map(text) : new Array<string>(config.vcpus).fill(text(cpus))
	return [
		keyValue('vcpu_param', 'weight', text(cpu_weight) || '256'),
		keyValue('vcpu_param', 'cap', text(cpu_cap) || '0'),
		...maps.flatMap((map, vcpu) => (map === '' ? [] : [keyValue('vcpu_param', `cpumap${vcpu}`, map)])),
	]
}

function normalExit(key: 'on_poweroff' | 'on_reboot', action: ExitAction): string {
	if (NORMAL_EXITS.includes(action)) return action
	throw new ConfigValueError(key, `${key} = '${action}' cannot be printed as XML: the Xen-API has ${NORMAL_EXITS.join(' and ')} for it`)
}

/** XML 1.0 has no way to write most control characters. */
function refuseUnprintable(key: string, value: string): void {
	const found = Array.from(value).find((character) => !/[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u.test(character))
	if (found === undefined) return
	const code = (found.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')
	throw new ConfigValueError(key, `${key} has the character U+${code}: XML can have no control characters but tabs and line ends`)
}

function keyValue(name: string, key: string, value: string): Element {
	return element(name, [
		['key', key],
		['value', value],
	])
}

function element(name: string, attributes: Element['attributes'], content: Element['content'] = []): Element {
	return { name, attributes, content }
}

function text(value: ConfigValues[string] | undefined): string {
	return value === undefined || value === null ? '' : String(value)
}

/** Two spaces for each level; text stands with its tags, as it is. */
function lines({ name, attributes, content }: Element, indent: string): string[] {
	const tag = [name, ...attributes.map(([key, value]) => `${key}="${escaped(String(value))}"`)].join(' ')
	if (typeof content === 'string') return [`${indent}<${tag}>${escaped(content)}</${name}>`]
	if (content.length === 0) return [`${indent}<${tag}/>`]
	return [`${indent}<${tag}>`, ...content.flatMap((child) => lines(child, `${indent}  `)), `${indent}</${name}>`]
}

/** For text and for values in double quotes. A reader would make spaces of a value's line ends and tabs: they are written by number. */
function escaped(value: string): string {
	const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
	return value.replace(/[&<>"\t\n\r]/g, (character) => named[character] ?? `&#${character.charCodeAt(0)};`)
}
