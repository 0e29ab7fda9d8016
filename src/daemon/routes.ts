import * as v from 'valibot'
import { UserError } from '../base/errors.ts'
import { isAtRest } from '../toolstack/domain_record.ts'
import { dumpCore, sendSysrq, sendTrigger, setMaxMemory, setMemory } from '../toolstack/guest_requests.ts'
import type { Lifecycle } from '../toolstack/lifecycle.ts'
import { restoreDomain, resumeInMemory, saveDomain, suspendInMemory } from '../toolstack/save_restore.ts'
import * as api from './api.ts'
import type { ApiHost } from './api_host.ts'
import { domainDetail, domainDetails, domainVcpus, statistics } from './domain_listing.ts'
import { hostInfo } from './host_info.ts'
import { hostTopology } from './host_topology.ts'

interface RouteText {
	readonly method: 'GET' | 'POST'
	/** After /v1. `{domain}` stands for a name or a number. */
	readonly path: string
	/** The OpenAPI document's operationId. */
	readonly name: string
	readonly summary: string
	/** What the query may have: each parameter's schema is of a string. */
	readonly query: v.StrictObjectSchema<v.ObjectEntries, undefined>
}

/** A call that is answered with one JSON value. */
export interface CallRoute extends RouteText {
	readonly kind: 'call'
	readonly body: v.GenericSchema | undefined
	readonly reply: v.GenericSchema
	/** Of the request's parts as the schemas have let them through; `domain` is what `{domain}` stands for. */
	handle(host: ApiHost, input: { readonly domain: string; readonly query: unknown; readonly body: unknown }): Promise<unknown>
}

/** Calls that are answered with a stream, by the server. */
export interface EventsRoute extends RouteText {
	readonly kind: 'events'
}
export interface ConsoleRoute extends RouteText {
	readonly kind: 'console'
}

export type Route = CallRoute | EventsRoute | ConsoleRoute

const NO_QUERY = v.strictObject({})
const NO_BODY = v.undefined()
type NoQuery = typeof NO_QUERY
type NoBody = typeof NO_BODY

interface CallSpec<Q extends RouteText['query'], B extends v.GenericSchema, R extends v.GenericSchema> {
	readonly name: string
	readonly summary: string
	readonly query?: Q
	readonly body?: B
	readonly reply: R
	readonly handle: (
		host: ApiHost,
		input: { readonly domain: string; readonly query: v.InferOutput<Q>; readonly body: v.InferOutput<B> },
	) => Promise<v.InferOutput<R>>
}

/** `call` is the method and the path. What `handle` gets and gives has the types of the schemas. */
function call<R extends v.GenericSchema, Q extends RouteText['query'] = NoQuery, B extends v.GenericSchema = NoBody>(
	method: RouteText['method'],
	path: string,
	spec: CallSpec<Q, B, R>,
): CallRoute {
	const { name, summary, query = NO_QUERY, body, reply } = spec
	return { kind: 'call', method, path, name, summary, query, body, reply, handle: spec.handle as CallRoute['handle'] }
}

/** One that does something with a domain, and has nothing to tell. */
function act(verb: string, summary: string, operation: (lifecycle: Lifecycle, domain: string) => Promise<unknown>): CallRoute {
	const handle = async ({ lifecycle }: ApiHost, { domain }: { domain: string }) => {
		await operation(lifecycle, domain)
		return {}
	}
	return call('POST', `/domains/{domain}/${verb}`, { name: `${verb}Domain`, summary, reply: api.NOTHING, handle })
}

/** For a parameter that is 1 for yes. */
const FLAG = v.exactOptional(v.picklist(['0', '1']))

export const CONSOLE_QUERY = v.strictObject({
	from: v.exactOptional(
		v.pipe(
			v.string(),
			v.regex(/^\d{1,15}$/, 'must be a number of bytes'),
			v.description("Begin so many bytes after the guest's first, or with the oldest that are kept."),
		),
	),
	typist: v.exactOptional(
		v.pipe(
			v.string(),
			v.regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, _ and -'),
			v.description("Who types, over one connection after another; each is told how much of all that was typed is the guest's."),
		),
	),
})

export const EVENTS_QUERY = v.strictObject({
	since: v.exactOptional(
		v.pipe(
			v.string(),
			v.regex(/^\d{1,15}$|^[1-8]\d{15}$/, 'must be the number of an event'),
			v.description('Begin with the event after this number.'),
		),
	),
})

/** Every call of the API: requests are dispatched by this table and checked by it, and the OpenAPI document is made of it. */
export const ROUTES: readonly Route[] = [
	call('GET', '/openapi.json', {
		name: 'describeApi',
		summary: 'This API, as an OpenAPI document.',
		reply: v.record(v.string(), v.unknown()),
		handle: async ({ version }) => (await import('./openapi.ts')).openApi(version),
	}),
	call('GET', '/daemon', {
		name: 'daemonInfo',
		summary: 'The daemon itself.',
		reply: api.DAEMON_INFO,
		handle: async ({ lifecycle, version }) => {
			const domains = (await lifecycle.list()).filter(({ info }) => info.domid !== null).length
			const { pid: hypervisorPid } = await lifecycle.ask(({ xen }) => xen.info())
			return { api: api.API_VERSION, pid: process.pid, version, domains, hypervisorPid }
		},
	}),
	call('POST', '/daemon/stop', {
		name: 'stopDaemon',
		summary: 'Ends the daemon, once the reply is out.',
		body: api.STOP_REQUEST,
		reply: api.NOTHING,
		handle: async (host, { body: { ifIdle, domains = 'stop' } }) => {
			const live = host.lifecycle.table.entries().filter(({ record }) => !isAtRest(record)).length
			if (ifIdle === true && live > 0) throw new UserError(`the daemon has ${live} domain${live === 1 ? '' : 's'}`, { code: 'busy' })
			setImmediate(() => host.stop(domains))
			return {}
		},
	}),
	call('GET', '/daemon/log', {
		name: 'daemonLog',
		summary: "The newest of the daemon's log files.",
		reply: api.LOG_TEXT,
		handle: async (host) => ({ log: await host.readLog() }),
	}),
	call('GET', '/daemon/settings', {
		name: 'daemonSettings',
		summary: "The daemon's settings, by the names of xend-config.sxp.",
		reply: api.HOST_INFO,
		handle: async ({ settings }) => lines(settings),
	}),
	call('GET', '/host', {
		name: 'hostInfo',
		summary: 'The host and its hypervisor.',
		reply: api.HOST_INFO,
		handle: async ({ lifecycle }) => lines(hostInfo(await lifecycle.ask(({ xen }) => xen.info()))),
	}),
	call('GET', '/host/topology', {
		name: 'hostTopology',
		summary: "The host's processors, and its nodes of memory.",
		reply: api.HOST_TOPOLOGY,
		handle: async () => hostTopology(),
	}),
	call('GET', '/vcpus', {
		name: 'listVcpus',
		summary: 'The virtual processors of every domain, domain 0 first.',
		reply: v.array(api.DOMAIN_VCPUS),
		handle: (host) => domainVcpus(host),
	}),
	call('GET', '/statistics', {
		name: 'statistics',
		summary: 'What the host and its domains use, all taken at once.',
		reply: api.STATISTICS,
		handle: (host) => statistics(host),
	}),
	call('GET', '/hypervisor/log', {
		name: 'hypervisorLog',
		summary: "The hypervisor's log; with clear=1 it is empty then.",
		query: v.strictObject({ clear: FLAG }),
		reply: api.LOG_TEXT,
		handle: async ({ lifecycle }, { query }) => ({ log: await lifecycle.ask(({ xen }) => xen.log(query.clear === '1')) }),
	}),
	call('POST', '/hypervisor/debug-keys', {
		name: 'sendDebugKeys',
		summary: 'Sends keys to the hypervisor; what they wrote is in its log then.',
		body: api.DEBUG_KEYS_REQUEST,
		reply: api.NOTHING,
		handle: async ({ lifecycle }, { body: { keys } }) => {
			await lifecycle.ask(({ xen }) => xen.debugKeys(keys))
			return {}
		},
	}),
	{
		kind: 'events',
		method: 'GET',
		path: '/events',
		name: 'streamEvents',
		summary: 'What happens to domains from now on, or since a number: one JSON a line, `listening` first.',
		query: EVENTS_QUERY,
	},
	call('GET', '/domains', {
		name: 'listDomains',
		summary: 'Every domain, domain 0 first; with long=1 in full.',
		query: v.strictObject({ long: FLAG }),
		reply: v.array(v.union([api.DOMAIN_DETAIL, api.DOMAIN_INFO])),
		handle: async (host, { query }) => {
			const details = await domainDetails(host)
			return query.long === '1' ? details : details.map(({ sxp: _, ...info }) => info)
		},
	}),
	call('POST', '/domains', {
		name: 'createDomain',
		summary: 'Creates a domain from configuration variables, and starts it.',
		body: api.CREATE_REQUEST,
		reply: api.CREATE_REPLY,
		handle: ({ lifecycle }, { body: { values, paused = false } }) => lifecycle.create(values, { paused }),
	}),
	call('POST', '/definitions', {
		name: 'defineDomain',
		summary: 'Makes a managed domain, halted; one of that name that is halted gets the new configuration.',
		body: api.DEFINE_REQUEST,
		reply: api.DEFINE_REPLY,
		handle: ({ lifecycle }, { body: { values } }) => lifecycle.define(values),
	}),
	call('GET', '/domains/{domain}', {
		name: 'domainInfo',
		summary: 'One domain in full.',
		reply: api.DOMAIN_DETAIL,
		handle: (host, { domain }) => domainDetail(host, domain),
	}),
	act('pause', 'Stops its processors.', (lifecycle, domain) => lifecycle.pause(domain)),
	act('unpause', 'Lets its processors run on.', (lifecycle, domain) => lifecycle.unpause(domain)),
	act('destroy', 'Ends it at once.', (lifecycle, domain) => lifecycle.destroy(domain)),
	act('reset', 'Ends the guest at once and builds the domain anew.', (lifecycle, domain) => lifecycle.reset(domain)),
	act('delete', 'Removes a managed domain that is halted.', (lifecycle, domain) => lifecycle.undefine(domain)),
	act('suspend', 'Suspends a managed domain to its file.', (lifecycle, domain) => lifecycle.suspend(domain)),
	act('hold', 'Has its guest suspend itself and stay so, in memory.', suspendInMemory),
	act('release', 'Lets a domain go on that is suspended in memory.', resumeInMemory),
	call('POST', '/domains/{domain}/resume', {
		name: 'resumeDomain',
		summary: 'Resumes a managed domain from its file.',
		body: api.START_REQUEST,
		reply: api.CREATE_REPLY,
		handle: async ({ lifecycle }, { domain, body }) => ({ domain: await lifecycle.resume(domain, body), warnings: [] }),
	}),
	call('POST', '/domains/{domain}/save', {
		name: 'saveDomain',
		summary: 'Saves it to a file; answers when the file is whole.',
		body: api.SAVE_REQUEST,
		reply: api.SAVE_REPLY,
		handle: ({ lifecycle }, { domain, body }) => saveDomain(lifecycle, domain, body),
	}),
	call('POST', '/restorations', {
		name: 'restoreDomain',
		summary: 'Brings a saved domain back from its file.',
		body: api.RESTORE_REQUEST,
		reply: api.CREATE_REPLY,
		handle: ({ lifecycle }, { body: { path, ...options } }) => restoreDomain(lifecycle, path, options),
	}),
	call('POST', '/domains/{domain}/start', {
		name: 'startDomain',
		summary: 'Starts a managed domain that is halted.',
		body: api.START_REQUEST,
		reply: api.CREATE_REPLY,
		handle: async ({ lifecycle }, { domain, body }) => ({ domain: await lifecycle.startManaged(domain, body), warnings: [] }),
	}),
	call('POST', '/domains/{domain}/rename', {
		name: 'renameDomain',
		summary: 'Gives it another name.',
		body: api.RENAME_REQUEST,
		reply: api.NOTHING,
		handle: async ({ lifecycle }, { domain, body }) => {
			await lifecycle.rename(domain, body.name)
			return {}
		},
	}),
	call('POST', '/domains/{domain}/memory', {
		name: 'setMemory',
		summary: 'What the guest is to use from now on: its balloon driver gives memory back, or takes it.',
		body: api.MEMORY_REQUEST,
		reply: api.NOTHING,
		handle: ({ lifecycle }, { domain, body }) => nothing(setMemory(lifecycle, domain, body.mib)),
	}),
	call('POST', '/domains/{domain}/max-memory', {
		name: 'setMaxMemory',
		summary: 'The most that it may have.',
		body: api.MEMORY_REQUEST,
		reply: api.NOTHING,
		handle: ({ lifecycle }, { domain, body }) => nothing(setMaxMemory(lifecycle, domain, body.mib)),
	}),
	call('POST', '/domains/{domain}/sysrq', {
		name: 'sendSysrq',
		summary: 'Presses Alt-SysRq and a key in the guest.',
		body: api.SYSRQ_REQUEST,
		reply: api.NOTHING,
		handle: ({ lifecycle }, { domain, body }) => nothing(sendSysrq(lifecycle, domain, body.letter)),
	}),
	call('POST', '/domains/{domain}/trigger', {
		name: 'sendTrigger',
		summary: 'Sends an interrupt that cannot be masked, or another trigger.',
		body: api.TRIGGER_REQUEST,
		reply: api.NOTHING,
		handle: ({ lifecycle }, { domain, body: { trigger, vcpu = 0 } }) => nothing(sendTrigger(lifecycle, domain, trigger, vcpu)),
	}),
	call('POST', '/domains/{domain}/dump-core', {
		name: 'dumpCore',
		summary: 'Writes a core of it; answers when the file is whole.',
		body: api.DUMP_CORE_REQUEST,
		reply: api.DUMP_CORE_REPLY,
		handle: ({ lifecycle, corePath }, { domain, body: { path, live = false, afterwards } }) =>
			dumpCore(lifecycle, domain, async (of) => ({ path: path ?? (await corePath(of)), live, afterwards })),
	}),
	call('POST', '/domains/{domain}/shutdown', {
		name: 'shutdownDomain',
		summary: 'Asks the guest to end; an event tells when it has.',
		body: api.SHUTDOWN_REQUEST,
		reply: api.NOTHING,
		handle: async ({ lifecycle }, { domain, body }) => {
			await lifecycle.shutdown(domain, body.request)
			return {}
		},
	}),
	{
		kind: 'console',
		method: 'GET',
		path: '/domains/{domain}/console',
		name: 'openConsole',
		summary: 'Upgrades the connection to the console; by number also for a while after the end of the domain.',
		query: CONSOLE_QUERY,
	},
]

async function nothing(work: Promise<unknown>): Promise<Record<string, never>> {
	await work
	return {}
}

function lines(info: api.HostInfo): [string, string][] {
	return info.map(([name, value]) => [name, value])
}

const PATTERNS = ROUTES.map((route) => ({
	route,
	pattern: new RegExp(`^/v${api.API_VERSION}${route.path.replace('{domain}', '([^/]+)')}$`),
}))

/** The route of a request's method and path, and what its path has for `{domain}`. Throws UserError with code 'no-such-call'. */
export function findRoute(method: string, path: string): { readonly route: Route; readonly domain: string } {
	if (!path.startsWith(`/v${api.API_VERSION}/`)) throw noSuchCall(`the API is at /v${api.API_VERSION}, not ${path}`)
	for (const { route, pattern } of PATTERNS) {
		const match = route.method === method ? pattern.exec(path) : null
		if (match !== null) return { route, domain: match[1] ?? '' }
	}
	throw noSuchCall(`there is no call ${method} ${path}`)
}

export function noSuchCall(message: string): UserError {
	return new UserError(message, { code: 'no-such-call' })
}
