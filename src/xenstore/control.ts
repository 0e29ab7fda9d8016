import type { Errno } from './errors.ts'
import { isQuotaName, type QuotaName } from './quota.ts'
import type { Store } from './store.ts'

const USAGE = [
	['help', ''],
	['quota', '[set <name> <val>|<domid>]'],
]

/** XS_CONTROL: commands of xenstore-control, answered with text for a person. EINVAL when unknown or malformed. */
export function control(store: Store, [command, ...parameters]: readonly string[]): { readonly text: string } | Errno {
	if (command === 'help' && parameters.length === 0) {
		return { text: USAGE.map(([name, usage]) => `${name.padEnd(15)} ${usage}\n`).join('') }
	}
	return command === 'quota' ? quota(store, parameters) : 'EINVAL'
}

function quota(store: Store, parameters: readonly string[]): { readonly text: string } | Errno {
	if (parameters.length === 0) return { text: `Quota settings:\n${table(store.limits())}` }
	if (parameters.length === 1 && /^\d{1,5}$/.test(parameters[0])) {
		return { text: `Domain ${parameters[0]}:\n${table(store.usage(Number(parameters[0])))}` }
	}
	const [verb, name, value, ...more] = parameters
	if (verb !== 'set' || more.length > 0 || !isQuotaName(name ?? '') || !/^[1-9]\d{0,8}$/.test(value ?? '')) return 'EINVAL'
	store.setLimit(name as QuotaName, Number(value))
	return { text: 'OK' }
}

function table(values: object): string {
	return Object.entries(values)
		.map(([name, value]) => `${name.padEnd(17)}: ${String(value).padStart(8)}\n`)
		.join('')
}
