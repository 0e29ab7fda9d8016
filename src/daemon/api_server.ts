import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import { type DomainInfo, domainInfo, domainSxp } from '../toolstack/domain_record.ts'
import { isDomain0, type Lifecycle, NoSuchDomain } from '../toolstack/lifecycle.ts'
import type { Sxp } from '../toolstack/sxp.ts'
import { API_VERSION, type ApiFailure, type CreateReply, type DaemonInfo, type DomainDetail, type HostInfo } from './api.ts'
import { CONSOLE_PROTOCOL } from './console_frames.ts'
import { serveConsole } from './console_server.ts'
import type { DomainConsoles } from './domain_consoles.ts'
import { checkCreate, checkShutdown, checkStop } from './requests.ts'

export interface ApiHost {
	readonly lifecycle: Lifecycle
	readonly consoles: DomainConsoles
	readonly version: string
	domain0(): DomainInfo
	hostInfo(): HostInfo
	hypervisorLog(clear: boolean): string
	/** Ends the daemon, once the reply is out. */
	stop(): void
	/** A request was answered or a stream ended: restarts the idle clock. */
	touched(openRequests: number): void
}

const MAX_BODY_BYTES = 1024 * 1024

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
		try {
			upgrade(host, request, socket)
		} catch (error) {
			const { status, body } = failure(error)
			socket.end(`HTTP/1.1 ${status} Failed\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n${JSON.stringify(body)}`)
		}
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
			return { api: API_VERSION, pid: process.pid, version: host.version, domains: lifecycle.list().length } satisfies DaemonInfo
		case 'POST daemon':
			if (reference === 'stop') return stop(host, checkStop(body).ifIdle)
			break
		case 'GET host':
			return host.hostInfo()
		case 'GET hypervisor':
			if (reference === 'log') return { log: host.hypervisorLog(query.get('clear') === '1') }
			break
		case 'GET domains':
			if (reference !== undefined) return detail(host, reference)
			if (query.get('long') === '1')
				return [detail(host, '0'), ...lifecycle.list().map((record) => detail(host, String(record.handle.domid)))]
			return [host.domain0(), ...lifecycle.list().map(domainInfo)]
		case 'POST domains':
			if (reference === undefined) return create(lifecycle, body)
			if (verb !== undefined) return act(lifecycle, reference, verb, body)
	}
	throw new UserError(`there is no call ${call} ${rest.join('/')}`, { code: 'no-such-call' })
}

async function create(lifecycle: Lifecycle, body: unknown): Promise<CreateReply> {
	const { values, paused } = checkCreate(body)
	return lifecycle.create(values, { paused: paused === true })
}

async function act(lifecycle: Lifecycle, reference: string, verb: string, body: unknown): Promise<object> {
	if (verb === 'pause') await lifecycle.pause(reference)
	else if (verb === 'unpause') lifecycle.unpause(reference)
	else if (verb === 'destroy') await lifecycle.destroy(reference)
	else if (verb === 'shutdown') await lifecycle.shutdown(reference, checkShutdown(body).request)
	else throw new UserError(`there is no operation '${verb}' on a domain`, { code: 'no-such-call' })
	return {}
}

function stop(host: ApiHost, ifIdle: boolean | undefined): object {
	const domains = host.lifecycle.list().length
	if (ifIdle === true && domains > 0) throw new UserError(`the daemon has ${domains} domain${domains === 1 ? '' : 's'}`, { code: 'busy' })
	setImmediate(() => host.stop())
	return {}
}

function detail(host: ApiHost, reference: string): DomainDetail {
	if (isDomain0(reference)) {
		const info = host.domain0()
		return { ...info, sxp: domain0Sxp(info) }
	}
	const record = host.lifecycle.find(reference)
	return { ...domainInfo(record), sxp: domainSxp(record) }
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

function upgrade(host: ApiHost, request: IncomingMessage, socket: Duplex): void {
	const [, reference] = /^\/v1\/domains\/([^/]+)\/console$/.exec(request.url ?? '') ?? []
	if (reference === undefined || request.headers.upgrade !== CONSOLE_PROTOCOL) {
		throw new UserError(`only a domain's console can be upgraded to, with ${CONSOLE_PROTOCOL}`, { code: 'no-such-call' })
	}
	const name = decode(reference)
	if (isDomain0(name)) throw new UserError('Domain 0 is this host: its console is not virtual', { code: 'no-console' })
	const tracked = host.consoles.find(name)
	socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${CONSOLE_PROTOCOL}\r\n\r\n`)
	serveConsole(tracked, socket)
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
