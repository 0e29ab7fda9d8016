import type { Errno } from './errors.ts'
import type { Text } from './live_update.ts'
import { isQuotaName, type QuotaName } from './quota.ts'
import type { Store } from './store.ts'

const USAGE = [
	['help', ''],
	['live-update', '[-s [-t <timeout>] [-F]]'],
	['quota', '[set <name> <val>|<domid>]'],
]

/** XS_CONTROL: commands of xenstore-control, answered with text for a person, at once or later. EINVAL when unknown or malformed. */
export function control(store: Store, [command, ...parameters]: readonly string[]): Text | Errno | Promise<Text> {
	if (command === 'help' && parameters.length === 0) {
		return { text: USAGE.map(([name, usage]) => `${name.padEnd(15)} ${usage}\n`).join('') }
	}
	if (command === 'live-update') return liveUpdate(store, parameters)
	return command === 'quota' ? quota(store, parameters) : 'EINVAL'
}

/** -f, -c and -a choose, in Xen, what program is started: here it is always the installed one. -s starts it, with -t after so many seconds at most. */
function liveUpdate({ liveUpdate }: Store, [option, ...more]: readonly string[]): Text | Errno | Promise<Text> {
	if (liveUpdate.begin === undefined) return 'EINVAL'
	if (option === '-f' || option === '-c' || option === '-a') return { text: 'OK' }
	const words = option === '-s' ? /^(?:-t (\d{1,6}) ?)?(-F)?$/.exec(more.join(' ')) : null
	if (words === null) return 'EINVAL'
	const [, timeout, force] = words
	return liveUpdate.start({ timeout_s: timeout === undefined ? undefined : Number(timeout), force: force !== undefined })
}

function quota(store: Store, parameters: readonly string[]): Text | Errno {
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
