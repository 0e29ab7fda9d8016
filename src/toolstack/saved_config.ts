/** The configuration in a saved domain's file: libxl's domain_config as JSON, with what xend knows besides under `xend`. */
import { UserError } from '../base/errors.ts'
import type { ConfigValues } from './config.ts'
import type { NamedConfig } from './domain_record.ts'
import { configJson, factsOfConfig, INVALID_DOMID, showLibxlJson } from './libxl_json.ts'

type Json = Readonly<Record<string, unknown>>

/** `domid` is the number that the domain is to have again. */
export function savedConfig(config: NamedConfig, domid?: number): string {
	const { on_xend_start, on_xend_stop, translation_cache } = config
	const xend = { on_xend_start, on_xend_stop, translation_cache: translation_cache ? 1 : 0 }
	return showLibxlJson({ ...configJson(factsOfConfig(config), domid), xend })
}

export interface SavedConfig {
	/** As the file has it; '' when it has none. */
	readonly uuid: string
	/** The number that the domain is to have again. */
	readonly domid: number | undefined
	/** The variables of a configuration; what they are is for checkConfig() to judge. Throws UserError for what no domain here can be. */
	values(): ConfigValues
}

/** What a saved domain's file says of it. Throws UserError when it is not in JSON. */
export function savedConfigOf(path: string, text: string): SavedConfig {
	const refuse = (why: string): never => {
		throw new UserError(`${path} cannot be restored: its configuration ${why}`, { code: 'bad-stream' })
	}
	const json = parse(text) ?? refuse('is not in JSON')
	const c_info = member(json, 'c_info')
	const domid = typeof c_info.domid === 'number' && c_info.domid !== INVALID_DOMID ? c_info.domid : undefined
	return { uuid: word(c_info.uuid), domid, values: () => savedValues(json, refuse) }
}

function savedValues(json: Json, refuse: (why: string) => never): ConfigValues {
	const [c_info, b_info, xend] = [member(json, 'c_info'), member(json, 'b_info'), member(json, 'xend')]
	if (c_info.type !== 'pv') refuse(`is of a domain of type '${c_info.type}': only paravirtual ones run here`)
	for (const devices of ['disks', 'nics', 'pcidevs', 'vfbs', 'vtpms', 'usbctrls', 'usbdevs', 'p9s', 'pvcallsifs']) {
		const list = json[devices]
		if (Array.isArray(list) && list.length > 0) refuse(`has devices that are not supported yet (${devices})`)
	}
	const mib = (key: string) => {
		const kib = b_info[key]
		return typeof kib === 'number' && kib > 0 ? Math.ceil(kib / 1024) : refuse(`does not say how much memory it has (${key})`)
	}
	const maxmem = mib('max_memkb')
	return {
		name: word(c_info.name),
		uuid: word(c_info.uuid),
		kernel: word(b_info.kernel) || word(member(b_info, 'type.pv').kernel),
		ramdisk: word(b_info.ramdisk) || word(member(b_info, 'type.pv').ramdisk),
		extra: word(b_info.cmdline) || word(member(b_info, 'type.pv').cmdline),
		memory: Math.min(b_info.target_memkb === undefined ? maxmem : mib('target_memkb'), maxmem),
		maxmem,
		vcpus: typeof b_info.max_vcpus === 'number' ? b_info.max_vcpus : 1,
		...Object.fromEntries(['on_poweroff', 'on_reboot', 'on_crash'].map((key) => [key, xmAction(word(json[key]) || 'destroy')])),
		...(xend.on_xend_start === undefined ? {} : { on_xend_start: word(xend.on_xend_start) }),
		...(xend.on_xend_stop === undefined ? {} : { on_xend_stop: word(xend.on_xend_stop) }),
		...(xend.translation_cache === undefined ? {} : { translation_cache: word(xend.translation_cache) }),
	}
}

function parse(text: string): Json | undefined {
	try {
		const value: unknown = JSON.parse(text)
		return isObject(value) ? value : undefined
	} catch {
		return undefined
	}
}

function isObject(value: unknown): value is Json {
	return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function member(json: Json, key: string): Json {
	const value = json[key]
	return isObject(value) ? value : {}
}

function word(value: unknown): string {
	return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** As a configuration names what libxl has under another name. */
function xmAction(action: string): string {
	return action === 'restart_rename' ? 'rename-restart' : action.replaceAll('_', '-')
}
