import { commandLine, type DomainConfig } from './config.ts'
import type { Sxp } from './sxp.ts'

export type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json }

/** What libxl's JSON says of a domain that is, or is to be. */
export interface LibxlFacts {
	readonly name: string
	readonly uuid: string | undefined
	readonly vcpus: number
	readonly maxmem_mib: number
	readonly memory_mib: number
	readonly kernel: string
	readonly ramdisk: string | undefined
	readonly commandLine: string
	readonly on_poweroff: string
	readonly on_reboot: string
	readonly on_crash: string
}

export function factsOfConfig(config: DomainConfig): LibxlFacts {
	return { ...config, commandLine: commandLine(config) }
}

/** From the S-expression that the daemon has of a domain. */
export function factsOfSxp(sxp: Sxp): LibxlFacts {
	const image = value(sxp, 'image') ?? []
	const text = (key: string) => String(value(sxp, key) ?? '')
	return {
		name: text('name'),
		uuid: text('uuid'),
		vcpus: Number(value(sxp, 'vcpus') ?? 1),
		maxmem_mib: Number(value(sxp, 'maxmem') ?? 0),
		memory_mib: Number(value(sxp, 'memory') ?? 0),
		kernel: String(value(image, 'kernel') ?? ''),
		ramdisk: value(image, 'ramdisk')?.toString(),
		commandLine: String(value(image, 'args') ?? ''),
		on_poweroff: text('on_poweroff'),
		on_reboot: text('on_reboot'),
		on_crash: text('on_crash'),
	}
}

function value(sxp: Sxp, key: string): Sxp | undefined {
	if (!Array.isArray(sxp)) return undefined
	const found = sxp.find((part: Sxp) => Array.isArray(part) && part[0] === key)
	return Array.isArray(found) ? found[1] : undefined
}

/** libxl_domid's "none": what a configuration asks for that asks for no number. */
export const INVALID_DOMID = 0xffffffff

/** Every domain has an equal share of the host, and no limit. */
export const WEIGHT = 256
export const CAP = 0
const SCHED_PARAMS = { sched: 'credit', weight: WEIGHT, cap: CAP }

/** One element of `xl list -l`; without a number, what `xl create -n` prints. Members with libxl's default are left out, as it does. */
export function domainJson(domid: number | null, facts: LibxlFacts): Json {
	return { domid, config: configJson(facts) }
}

/** libxl's domain_config. `domid` is a number that is asked for. */
export function configJson(facts: LibxlFacts, domid = INVALID_DOMID): { readonly [key: string]: Json } {
	const actions = (['on_poweroff', 'on_reboot', 'on_crash'] as const).flatMap((key) =>
		facts[key] === 'destroy' ? [] : [[key, libxlAction(facts[key])] as const],
	)
	return {
		c_info: {
			type: 'pv',
			name: facts.name,
			domid,
			...(facts.uuid === undefined ? {} : { uuid: facts.uuid }),
			run_hotplug_scripts: 'True',
		},
		b_info: {
			max_vcpus: facts.vcpus,
			avail_vcpus: Array.from({ length: facts.vcpus }, (_, vcpu) => vcpu),
			max_memkb: facts.maxmem_mib * 1024,
			target_memkb: facts.memory_mib * 1024,
			video_memkb: 0,
			sched_params: SCHED_PARAMS,
			claim_mode: 'True',
			kernel: facts.kernel,
			...(facts.commandLine === '' ? {} : { cmdline: facts.commandLine }),
			...(facts.ramdisk === undefined ? {} : { ramdisk: facts.ramdisk }),
			'type.pv': {},
			arch_arm: {},
			arch_x86: { msr_relaxed: 'False' },
		},
		...Object.fromEntries(actions),
	}
}

/** Domain 0's: nobody built it from a configuration. */
export function domain0Json(name: string, maxmem_mib: number, memory_mib: number): Json {
	return {
		domid: 0,
		config: {
			c_info: { type: 'pv', name },
			b_info: {
				max_memkb: maxmem_mib * 1024,
				target_memkb: memory_mib * 1024,
				sched_params: SCHED_PARAMS,
				'type.pv': {},
				arch_arm: {},
				arch_x86: {},
			},
		},
	}
}

/** libxl's enumeration has other names than the configuration. */
function libxlAction(action: string): string {
	return action === 'rename-restart' ? 'restart_rename' : action.replaceAll('-', '_')
}

/** In the layout of libxl's generator: four spaces, and an empty line in an empty object. */
export function showLibxlJson(value: Json, indent = ''): string {
	const inner = `${indent}    `
	const block = (open: string, lines: string[], close: string) => `${open}\n${lines.join(',\n')}\n${indent}${close}`
	if (value === null || typeof value !== 'object') return JSON.stringify(value)
	if (Array.isArray(value))
		return block(
			'[',
			value.map((item) => inner + showLibxlJson(item, inner)),
			']',
		)
	const members = Object.entries(value).map(([key, member]) => `${inner}${JSON.stringify(key)}: ${showLibxlJson(member, inner)}`)
	return block('{', members, '}')
}
