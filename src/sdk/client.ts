import { request as httpRequest, type RequestOptions } from 'node:http'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import type {
	ApiEvent,
	ApiFailure,
	CreateReply,
	CreateRequest,
	DaemonInfo,
	DefineReply,
	DefineRequest,
	DomainDetail,
	DomainInfo,
	DomainVcpus,
	DumpCoreReply,
	DumpCoreRequest,
	HostInfo,
	HostTopology,
	RestoreRequest,
	SaveReply,
	SaveRequest,
	ShutdownBody,
	StartRequest,
	Statistics,
	StopRequest,
	TriggerRequest,
} from '../daemon/api.ts'
import { CONSOLE_PROTOCOL } from '../daemon/console_frames.ts'
import { isAlive } from '../daemon/process_state.ts'

/** A line of the event stream but for the first. */
export type DomainEvent = Exclude<ApiEvent, { type: 'listening' }>

export type EventStream = AsyncIterable<DomainEvent> & AsyncDisposable & { readonly since: number }

/** Of a connection that was there: nobody knows then whether the call was carried out. */
const CUT_OFF = ['ECONNRESET', 'EPIPE']
/** Of one that never was: the call was not carried out. */
const NOBODY_THERE = ['ENOENT', 'ECONNREFUSED']

/** The daemon can't be reached: nobody listens on its socket, or it ended before it answered. */
export class DaemonUnreachable extends UserError {
	/** What failed never came to be carried out. */
	readonly before: boolean
	constructor(cause: NodeJS.ErrnoException) {
		const message = CUT_OFF.includes(cause.code ?? '')
			? 'the connection to xend was lost before it answered: xm list shows what is done'
			: `Unable to connect to xend: ${cause.code ?? cause.message}. Is xend running?`
		super(message, { code: 'unreachable', cause })
		this.name = 'DaemonUnreachable'
		this.before = NOBODY_THERE.includes(cause.code ?? '')
	}
}

export interface WaysToDaemon {
	/** Opens a connection where the daemon has no socket here. */
	readonly dial?: () => Duplex
	/** Starts a daemon where there is none any more: a call that found none is made again, once, and so is one that was cut off and only asks. */
	readonly revive?: () => Promise<unknown>
}

const STOP_TIMEOUT_MS = 10_000

/** Calls to the daemon's API over its Unix socket. Failures that the daemon reports are UserErrors with its message and exit code. */
export class XendClient {
	readonly socketPath: string
	private readonly way: Pick<RequestOptions, 'socketPath' | 'createConnection' | 'agent'>
	private readonly revive: WaysToDaemon['revive']

	constructor(socketPath: string, { dial, revive }: WaysToDaemon = {}) {
		this.socketPath = socketPath
		this.revive = revive
		// Node leaves an agent of its own out only where `agent` is not given.
		this.way = dial === undefined ? { socketPath, agent: false } : { createConnection: dial }
	}

	daemon(): Promise<DaemonInfo> {
		return this.call('GET', '/v1/daemon')
	}
	/**
	 * Ends the daemon; resolves when its process is gone. Domains run on without it, or do what their on_xend_stop says, unless they are
	 * to be destroyed. With `ifIdle`, a daemon that has domains refuses.
	 */
	async stop(options: StopRequest = {}): Promise<void> {
		const { pid } = await this.daemon()
		await this.call('POST', '/v1/daemon/stop', options)
		for (let waited_ms = 0; pid !== process.pid && isAlive(pid) && waited_ms < STOP_TIMEOUT_MS; waited_ms += 10) {
			await new Promise((resolve) => setTimeout(resolve, 10))
		}
	}
	async daemonLog(): Promise<string> {
		return (await this.call<{ log: string }>('GET', '/v1/daemon/log')).log
	}
	daemonSettings(): Promise<HostInfo> {
		return this.call('GET', '/v1/daemon/settings')
	}
	host(): Promise<HostInfo> {
		return this.call('GET', '/v1/host')
	}
	hostTopology(): Promise<HostTopology> {
		return this.call('GET', '/v1/host/topology')
	}
	async hypervisorLog(clear: boolean): Promise<string> {
		return (await this.call<{ log: string }>('GET', `/v1/hypervisor/log${clear ? '?clear=1' : ''}`)).log
	}
	/** What the keys stand for is in the hypervisor's log then. */
	async debugKeys(keys: string): Promise<void> {
		await this.call('POST', '/v1/hypervisor/debug-keys', { keys })
	}
	statistics(): Promise<Statistics> {
		return this.call('GET', '/v1/statistics')
	}
	vcpus(): Promise<DomainVcpus[]> {
		return this.call('GET', '/v1/vcpus')
	}
	list(): Promise<DomainInfo[]> {
		return this.call('GET', '/v1/domains')
	}
	listLong(): Promise<DomainDetail[]> {
		return this.call('GET', '/v1/domains?long=1')
	}
	/** `reference` is a name or a number, here and below. */
	domain(reference: string): Promise<DomainDetail> {
		return this.call('GET', domainPath(reference))
	}
	create(request: CreateRequest): Promise<CreateReply> {
		return this.call('POST', '/v1/domains', request)
	}
	/** A managed domain, halted; one of that name that is halted gets the new configuration. */
	define(request: DefineRequest): Promise<DefineReply> {
		return this.call('POST', '/v1/definitions', request)
	}
	/** Removes a managed domain that is halted. */
	undefine(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'delete'))
	}
	/** Starts a managed domain that is halted. */
	start(reference: string, request: StartRequest = {}): Promise<CreateReply> {
		return this.call('POST', domainPath(reference, 'start'), request)
	}
	suspend(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'suspend'))
	}
	resume(reference: string, request: StartRequest = {}): Promise<CreateReply> {
		return this.call('POST', domainPath(reference, 'resume'), request)
	}
	/** Has its guest suspend itself and stay so, in memory. */
	hold(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'hold'))
	}
	/** Lets a domain go on that is suspended in memory. */
	release(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'release'))
	}
	/** Resolves when the file is whole. */
	save(reference: string, request: SaveRequest): Promise<SaveReply> {
		return this.call('POST', domainPath(reference, 'save'), request)
	}
	/** Brings a saved domain back from its file. */
	restore(request: RestoreRequest): Promise<CreateReply> {
		return this.call('POST', '/v1/restorations', request)
	}
	rename(reference: string, name: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'rename'), { name })
	}
	/** What the guest is to use from now on: its balloon driver gives memory back, or takes it. */
	setMemory(reference: string, mib: number): Promise<void> {
		return this.call('POST', domainPath(reference, 'memory'), { mib })
	}
	setMaxMemory(reference: string, mib: number): Promise<void> {
		return this.call('POST', domainPath(reference, 'max-memory'), { mib })
	}
	sysrq(reference: string, letter: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'sysrq'), { letter })
	}
	trigger(reference: string, request: TriggerRequest): Promise<void> {
		return this.call('POST', domainPath(reference, 'trigger'), request)
	}
	/** Resolves when the file is whole. */
	dumpCore(reference: string, request: DumpCoreRequest = {}): Promise<DumpCoreReply> {
		return this.call('POST', domainPath(reference, 'dump-core'), request)
	}
	pause(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'pause'))
	}
	unpause(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'unpause'))
	}
	/** Ends the guest at once and builds the domain anew. */
	reset(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'reset'))
	}
	destroy(reference: string): Promise<void> {
		return this.call('POST', domainPath(reference, 'destroy'))
	}
	shutdown(reference: string, request: ShutdownBody['request']): Promise<void> {
		return this.call('POST', domainPath(reference, 'shutdown'), { request })
	}

	/**
	 * What happens to domains from now on, or after the event numbered `since`: collected from when the promise resolves. The `since` of
	 * what it resolves with is the number after which it begins. It ends when it is disposed of, and throws when the daemon is gone.
	 */
	async events(since?: number): Promise<EventStream> {
		const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
			const path = `/v1/events${since === undefined ? '' : `?since=${since}`}`
			const request = httpRequest({ ...this.way, path }, resolve)
			request.on('error', (error) => reject(connectionError(error)))
			request.end()
		})
		if (response.statusCode !== 200) throw failureOf(await readAll(response))
		const reader = createInterface({ input: response })
		const lines = reader[Symbol.asyncIterator]()
		// However the stream ends: nobody is to wait for a line that can't come.
		response.on('error', () => {}).on('close', () => reader.close())
		let closed = false
		const first = await lines.next()
		if (first.done) throw crashed()
		async function* events(): AsyncGenerator<DomainEvent, undefined> {
			for (;;) {
				const line = await lines.next().catch(() => undefined)
				if (closed) return undefined
				if (line === undefined || line.done) throw new UserError('the connection to xend was lost', { code: 'unreachable' })
				yield JSON.parse(line.value) as DomainEvent
			}
		}
		return Object.assign(events(), {
			since: (JSON.parse(first.value) as ApiEvent).seq,
			[Symbol.asyncDispose]: async () => {
				closed = true
				response.destroy()
			},
		})
	}

	/** The console's raw stream, framed as daemon/console_frames.ts says, from a place in the guest's output on; for a typist, from where it has come to type. */
	console(reference: string, from = 0, typist?: string): Promise<Duplex> {
		return new Promise((resolve, reject) => {
			const headers = { Connection: 'Upgrade', Upgrade: CONSOLE_PROTOCOL }
			const request = httpRequest({
				...this.way,
				path: `${domainPath(reference, 'console')}?from=${from}${typist === undefined ? '' : `&typist=${typist}`}`,
				headers,
			})
			request.on('upgrade', (_response, socket, head) => {
				if (head.length > 0) socket.unshift(head)
				resolve(socket)
			})
			request.on('response', (response) => readAll(response).then((text) => reject(failureOf(text)), reject))
			request.on('error', (error) => reject(connectionError(error)))
			request.end()
		})
	}

	private async call<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
		try {
			return await this.callOnce(method, path, body)
		} catch (error) {
			const harmless = error instanceof DaemonUnreachable && (error.before || (method === 'GET' && !path.includes('?')))
			if (!harmless || this.revive === undefined) throw error
			await this.revive()
			return this.callOnce(method, path, body)
		}
	}

	private async callOnce<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
		const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
			const headers = { 'Content-Type': 'application/json' }
			const request = httpRequest({ ...this.way, method, path, headers }, (response) => {
				readAll(response).then(
					(text) => resolve({ status: response.statusCode ?? 0, text }),
					(error) => reject(connectionError(error)),
				)
			})
			request.on('error', (error) => reject(connectionError(error)))
			request.end(body === undefined ? undefined : JSON.stringify(body))
		})
		if (status !== 200) throw failureOf(text)
		return JSON.parse(text) as T
	}
}

function connectionError(error: NodeJS.ErrnoException): UserError {
	if (error.code === undefined || error.code.startsWith('HPE_')) return crashed()
	return new DaemonUnreachable(error)
}

function crashed(): UserError {
	return new UserError('Xend has probably crashed!  Invalid or missing HTTP status code.', { code: 'internal' })
}

function domainPath(reference: string, verb?: string): string {
	return `/v1/domains/${encodeURIComponent(reference)}${verb === undefined ? '' : `/${verb}`}`
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
	const chunks: Buffer[] = []
	for await (const chunk of stream) chunks.push(chunk)
	return Buffer.concat(chunks).toString('utf8')
}

function failureOf(text: string): UserError {
	try {
		const { error } = JSON.parse(text) as ApiFailure
		return new UserError(error.message, { code: error.code, exitCode: error.exitCode })
	} catch {
		return crashed()
	}
}
