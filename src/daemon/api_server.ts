import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import { type DomainInfo, domainSxp } from '../toolstack/domain_record.ts'
import { isDomain0, type Lifecycle, NoSuchDomain } from '../toolstack/lifecycle.ts'
import type { Sxp } from '../toolstack/sxp.ts'
import { NoDomain } from '../xenctrl/interface.ts'
import {
	API_VERSION,
	type ApiFailure,
	type CreateReply,
	type DaemonInfo,
	type DomainDetail,
	type DomainVcpus,
	type HostInfo,
	type StopRequest,
} from './api.ts'
import { CONSOLE_PROTOCOL } from './console_frames.ts'
import { serveConsole } from './console_server.ts'
import type { DomainConsoles } from './domain_consoles.ts'
import { operate } from './domain_operations.ts'
import { domain0, domain0Vcpus, hostInfo } from './host_info.ts'
import { checkCreate, checkDebugKeys, checkDefine, checkStop } from './requests.ts'

export interface ApiHost {
	readonly lifecycle: Lifecycle
	readonly consoles: DomainConsoles
	readonly version: string
	/** The newest of the daemon's log files. */
	readLog(): Promise<string>
	/** The daemon's settings, as `xm info -c` lists them. */
	readonly settings: HostInfo
	/** Seconds since 1970. */
	readonly startTime_s: number
	/** Ends the daemon, once the reply is out. */
	stop(domains: 'stop' | 'destroy'): void
	/** A request was answered or a stream ended: restarts the idle clock. */
	touched(openRequests: number): void
}

const MAX_BODY_BYTES = 1024 * 1024
const GREETING = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${CONSOLE_PROTOCOL}\r\n\r\n`

/** The API over an HTTP server that is not listening yet. */
export function createApiServer(host: ApiHost): Server {
	let open = 0
	const track = (emitter: { on(event: 'close', listener: () => void): unknown }) => {
		host.touched(++open)
		emitter.on('close', () => host.touched(--open))
	}
	const server = createServer((request, response) => {
		track(response)
		answer(host, request, response).catch((error) => fail(response, error))
	})
	server.on('upgrade', (request, socket: Duplex) => {
		track(socket)
		upgrade(host, request, socket).catch((error) => {
			const { status, body } = failure(error)
			socket.end(`HTTP/1.1 ${status} Failed\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n${JSON.stringify(body)}`)
		})
	})
	return server
}

async function answer(host: ApiHost, request: IncomingMessage, response: ServerResponse): Promise<void> {
	const url = new URL(request.url ?? '/', 'http://localhost')
	const [version, collection, ...rest] = url.pathname.slice(1).split('/').map(decode)
	const call = `${request.method} ${collection}`
	if (version !== `v${API_VERSION}`) throw new UserError(`the API is at /v${API_VERSION}, not ${url.pathname}`, { code: 'no-such-call' })
	if (call === 'GET events') return streamEvents(host.lifecycle, response)
	const body = request.method === 'POST' ? await readJson(request) : undefined
	const reply = await dispatch(host, call, rest, url.searchParams, body)
	response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(reply))
}

async function dispatch(host: ApiHost, call: string, rest: string[], query: URLSearchParams, body: unknown): Promise<unknown> {
	const { lifecycle } = host
	const [reference, verb] = rest
	switch (call) {
		case 'GET daemon':
			if (reference === undefined) return daemonInfo(host)
			if (reference === 'log') return { log: await host.readLog() }
			if (reference === 'settings') return host.settings
			break
		case 'POST daemon':
			if (reference === 'stop') return stop(host, checkStop(body))
			break
		case 'GET host':
			return hostInfo(await lifecycle.ask(({ xen }) => xen.info()))
		case 'GET hypervisor':
			if (reference === 'log') return { log: await lifecycle.ask(({ xen }) => xen.log(query.get('clear') === '1')) }
			break
		case 'POST hypervisor':
			if (reference === 'debug-keys') return debugKeys(lifecycle, body)
			break
		case 'GET vcpus':
			return vcpus(host)
		case 'GET domains':
			if (reference !== undefined) return detail(host, reference)
			return query.get('long') === '1' ? details(host) : (await details(host)).map(({ sxp: _, ...info }) => info)
		case 'POST domains':
			if (reference === undefined) return create(lifecycle, body)
			if (verb !== undefined) return operate(lifecycle, reference, verb, body)
			break
		case 'POST definitions':
			return lifecycle.define(checkDefine(body).values)
	}
	throw new UserError(`there is no call ${call} ${rest.join('/')}`, { code: 'no-such-call' })
}

async function create(lifecycle: Lifecycle, body: unknown): Promise<CreateReply> {
	const { values, paused } = checkCreate(body)
	return lifecycle.create(values, { paused: paused === true })
}

async function debugKeys(lifecycle: Lifecycle, body: unknown): Promise<object> {
	const { keys } = checkDebugKeys(body)
	await lifecycle.ask(({ xen }) => xen.debugKeys(keys))
	return {}
}

async function daemonInfo({ lifecycle, version }: ApiHost): Promise<DaemonInfo> {
	const domains = (await lifecycle.list()).filter(({ info }) => info.domid !== null).length
	const { pid: hypervisorPid } = await lifecycle.ask(({ xen }) => xen.info())
	return { api: API_VERSION, pid: process.pid, version, domains, hypervisorPid }
}

async function stop(host: ApiHost, { ifIdle, domains = 'stop' }: StopRequest): Promise<object> {
	const live = host.lifecycle.table.entries().filter(({ record }) => record.phase.is !== 'halted').length
	if (ifIdle === true && live > 0) throw new UserError(`the daemon has ${live} domain${live === 1 ? '' : 's'}`, { code: 'busy' })
	setImmediate(() => host.stop(domains))
	return {}
}

async function detail(host: ApiHost, reference: string): Promise<DomainDetail> {
	const entry = isDomain0(reference) ? undefined : host.lifecycle.find(reference)
	const found = (await details(host)).find(({ uuid, domid }) => (entry === undefined ? domid === 0 : uuid === entry.uuid))
	if (found === undefined) throw new NoSuchDomain(reference)
	return found
}

/** Domain 0, then every other. */
async function details({ lifecycle, startTime_s }: ApiHost): Promise<DomainDetail[]> {
	const [listed, { dom0Time_s }] = await Promise.all([lifecycle.list(), lifecycle.ask(({ xen }) => xen.info())])
	const infos = listed.map(({ info }) => info)
	const own = domain0(infos, startTime_s, dom0Time_s)
	const others = listed.map(({ info, entry, state }) => ({ ...info, sxp: entry === undefined ? [] : domainSxp(entry, state) }))
	return [{ ...own, sxp: domain0Sxp(own) }, ...others]
}

/** Domain 0's, then every other's. */
async function vcpus({ lifecycle }: ApiHost): Promise<DomainVcpus[]> {
	const [listed, { dom0Time_s }] = await Promise.all([lifecycle.list(), lifecycle.ask(({ xen }) => xen.info())])
	const others = listed.map(({ info: { name, domid, vcpus }, state }) => ({
		name,
		domid,
		vcpus: state?.vcpuStates ?? Array.from({ length: vcpus }, () => ({ online: false, running: false, blocked: false, cpuTime_s: 0 })),
	}))
	return [domain0Vcpus(dom0Time_s), ...others]
}

function domain0Sxp(info: DomainInfo): Sxp {
	return [
		'domain',
		['domid', 0],
		['on_crash', 'restart'],
		['uuid', info.uuid],
		['bootloader_args', ''],
		['vcpus', info.vcpus],
		['name', info.name],
		['on_poweroff', 'destroy'],
		['on_reboot', 'restart'],
		['bootloader', ''],
		['maxmem', info.maxmem_mib],
		['memory', info.memory_mib],
		['cpu_time', info.cpuTime_s.toFixed(9)],
		['online_vcpus', info.vcpus],
		['image', ['linux', ['kernel', '']]],
		['status', 2],
		['state', info.state],
	]
}

function streamEvents(lifecycle: Lifecycle, response: ServerResponse): void {
	response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
	const send = (event: object) => response.write(`${JSON.stringify(event)}\n`)
	send({ type: 'listening' })
	response.on('close', lifecycle.onEvent(send))
}

async function upgrade(host: ApiHost, request: IncomingMessage, socket: Duplex): Promise<void> {
	const [, reference] = /^\/v1\/domains\/([^/]+)\/console$/.exec(request.url ?? '') ?? []
	if (reference === undefined || request.headers.upgrade !== CONSOLE_PROTOCOL) {
		throw new UserError(`only a domain's console can be upgraded to, with ${CONSOLE_PROTOCOL}`, { code: 'no-such-call' })
	}
	const name = decode(reference)
	if (isDomain0(name)) throw new UserError('Domain 0 is this host: its console is not virtual', { code: 'no-console' })
	const tracked = host.consoles.find(name)
	const { xen } = await host.lifecycle.attached()
	try {
		await serveConsole(tracked, xen, socket, GREETING)
	} catch (error) {
		throw error instanceof NoDomain ? new NoSuchDomain(name) : error
	}
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part)
	} catch {
		throw new UserError(`'${part}' is not a valid part of a path`, { code: 'bad-request' })
	}
}

async function readJson(request: IncomingMessage): Promise<unknown> {
	const chunks: Buffer[] = []
	let size = 0
	for await (const chunk of request as AsyncIterable<Buffer>) {
		size += chunk.length
		if (size > MAX_BODY_BYTES) throw new UserError(`the request is longer than ${MAX_BODY_BYTES} bytes`, { code: 'bad-request' })
		chunks.push(chunk)
	}
	if (size === 0) return {}
	try {
		return JSON.parse(Buffer.concat(chunks).toString('utf8'))
	} catch {
		throw new UserError('the request is not JSON', { code: 'bad-request' })
	}
}

function fail(response: ServerResponse, error: unknown): void {
	const { status, body } = failure(error)
	if (response.headersSent) response.destroy()
	else response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}

function failure(error: unknown): { status: number; body: ApiFailure } {
	if (!(error instanceof UserError)) {
		const message = error instanceof Error ? error.message : String(error)
		console.error(error)
		return { status: 500, body: { error: { code: 'internal', message, exitCode: 1 } } }
	}
	const conflict = error.code === 'name-taken' || error.code === 'busy'
	const status = error instanceof NoSuchDomain || error.code === 'no-such-call' ? 404 : conflict ? 409 : 400
	return { status, body: { error: { code: error.code, message: error.message, exitCode: error.exitCode } } }
}
