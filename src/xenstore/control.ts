import type { Errno } from './errors.ts'
import { isQuotaName, type QuotaName } from './quota.ts'
import type { Store } from './store.ts'

const USAGE = [
	['help', ''],
	['live-update', '[-s]'],
	['quota', '[set <name> <val>|<domid>]'],
]

/** XS_CONTROL: commands of xenstore-control, answered with text for a person. EINVAL when unknown or malformed. */
export function control(store: Store, [command, ...parameters]: readonly string[]): { readonly text: string } | Errno {
	if (command === 'help' && parameters.length === 0) {
		return { text: USAGE.map(([name, usage]) => `${name.padEnd(15)} ${usage}\n`).join('') }
	}
	if (command === 'live-update') return liveUpdate(store, parameters)
	return command === 'quota' ? quota(store, parameters) : 'EINVAL'
}

/** -f, -c and -a choose, in Xen, what program is started: here it is always the installed one. -s starts it. */
function liveUpdate(store: Store, [option]: readonly string[]): { readonly text: string } | Errno {
	if (store.onLiveUpdate === undefined) return 'EINVAL'
	if (option === '-s') store.onLiveUpdate()
	else if (option !== '-f' && option !== '-c' && option !== '-a') return 'EINVAL'
	return { text: 'OK' }
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
