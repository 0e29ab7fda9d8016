import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import * as v from 'valibot'
import { UserError } from '../base/errors.ts'
import { isDomain0, NoSuchDomain } from '../toolstack/lifecycle.ts'
import { NoDomain } from '../xenctrl/interface.ts'
import type { ApiFailure } from './api.ts'
import type { ApiHost } from './api_host.ts'
import { CONSOLE_PROTOCOL } from './console_frames.ts'
import { serveConsole } from './console_server.ts'
import { EventHistory } from './event_history.ts'
import { streamEvents } from './event_stream.ts'
import { bad, checkInput } from './request_check.ts'
import { CONSOLE_QUERY, EVENTS_QUERY, findRoute, noSuchCall } from './routes.ts'

// Not imported: that asks the module for all that it exports, and it has undici for WebSocket, with HTTP/2 and TLS behind it, 6 MiB.
const { createServer } = process.getBuiltinModule('node:http')

/** The body of a call that needs none. */
const NO_FIELDS = v.strictObject({})
const MAX_BODY_BYTES = 1024 * 1024
const GREETING = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${CONSOLE_PROTOCOL}\r\n\r\n`

/** The API over an HTTP server that is not listening yet. */
export function createApiServer(host: ApiHost): Server {
	const events = new EventHistory(host.lifecycle)
	let open = 0
	const track = (emitter: { on(event: 'close', listener: () => void): unknown }) => {
		host.touched(++open)
		emitter.on('close', () => host.touched(--open))
	}
	const server = createServer((request, response) => {
		track(response)
		answer(host, events, request, response).catch((error) => fail(response, error))
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

async function answer(host: ApiHost, events: EventHistory, request: IncomingMessage, response: ServerResponse): Promise<void> {
	const url = requestUrl(request)
	const { route, domain } = findRoute(request.method ?? 'GET', url.pathname)
	const query: unknown = Object.fromEntries(url.searchParams)
	if (route.kind === 'console') throw onlyUpgrade()
	if (route.kind === 'events') {
		const { since } = checkInput(EVENTS_QUERY, query)
		response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
		return streamEvents(events, response, since === undefined ? undefined : Number(since))
	}
	const body = route.method === 'POST' ? await readJson(request) : undefined
	const input = {
		domain: decode(domain),
		query: checkInput(route.query, query),
		body: route.method === 'POST' ? checkInput(route.body ?? NO_FIELDS, body) : undefined,
	}
	const reply = await route.handle(host, input)
	response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(reply))
}

async function upgrade(host: ApiHost, request: IncomingMessage, socket: Duplex): Promise<void> {
	const url = requestUrl(request)
	const { route, domain } = findRoute(request.method ?? 'GET', url.pathname)
	if (route.kind !== 'console' || request.headers.upgrade !== CONSOLE_PROTOCOL) throw onlyUpgrade()
	const name = decode(domain)
	if (isDomain0(name)) throw new UserError('Domain 0 is this host: its console is not virtual', { code: 'no-console' })
	const { from = '0', typist } = checkInput(CONSOLE_QUERY, Object.fromEntries(url.searchParams))
	const tracked = host.consoles.find(name)
	const { xen } = await host.lifecycle.attached()
	try {
		await serveConsole(tracked, xen, socket, GREETING, Number(from), typist)
	} catch (error) {
		throw error instanceof NoDomain ? new NoSuchDomain(name) : error
	}
}

function onlyUpgrade(): UserError {
	return noSuchCall(`a domain's console, and nothing else, is upgraded to, with ${CONSOLE_PROTOCOL}`)
}

/** A client can send anything as its target. */
function requestUrl({ url = '/' }: IncomingMessage): URL {
	if (!url.startsWith('/') || !URL.canParse(url, 'http://localhost')) throw bad(`'${url}' is not a path`)
	return new URL(url, 'http://localhost')
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part)
	} catch {
		throw bad(`'${part}' is not a valid part of a path`)
	}
}

async function readJson(request: IncomingMessage): Promise<unknown> {
	const bytes = await readBody(request)
	if (bytes.length === 0) return {}
	try {
		return JSON.parse(bytes.toString('utf8'))
	} catch {
		throw bad('it is not JSON')
	}
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
	const chunks: Buffer[] = []
	let size = 0
	try {
		for await (const chunk of request as AsyncIterable<Buffer>) {
			size += chunk.length
			if (size > MAX_BODY_BYTES) throw bad(`it is longer than ${MAX_BODY_BYTES} bytes`)
			chunks.push(chunk)
		}
	} catch (error) {
		throw error instanceof UserError ? error : bad('it was cut short')
	}
	return Buffer.concat(chunks)
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
