import { chmodSync, lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { UserError } from '../../base/errors.ts'
import { XenstoreClient } from '../../xenstore/client.ts'
import type { XenstoreServer } from '../../xenstore/server.ts'
import type { StreamTransport } from '../../xenstore/stream.ts'
import type { Inheritance } from './xenstore_handover.ts'

/** Connections that may wait to be accepted; the host's own limit (net.core.somaxconn) is mostly this. */
const BACKLOG = 4096
/** How long a client tries while the queue is full. */
const QUEUE_PATIENCE_MS = 10_000

/** A client's connection and its conversation. */
export interface ServedClient {
	readonly socket: Socket
	readonly transport: StreamTransport
}

/** A socket that serves a XenStore. */
export interface XenstoreListener {
	readonly path: string
	readonly server: Server
	readonly clients: () => readonly ServedClient[]
	/** Ends all clients' connections and removes the socket. */
	close(): Promise<void>
}

/**
 * Serves dom0's clients on a Unix socket that only its owner may use. A socket that a dead server left is replaced.
 * UserError when another server listens there, or the path cannot be used.
 */
export async function listenXenstore(server: XenstoreServer, path: string): Promise<XenstoreListener> {
	const listener = createServer({ allowHalfOpen: false })
	const served = serveClients(server, listener, path)
	await removeStale(path)
	await listening(listener, path)
	chmodSync(path, 0o600)
	return served
}

/** Serves the clients of a listening socket, and those that another process has served before. */
export function serveClients(
	server: XenstoreServer,
	listener: Server,
	path: string,
	inherited: Inheritance['clients'] = [],
): XenstoreListener {
	const clients = new Map<Socket, ServedClient>()
	const add = (socket: Socket) => {
		const transport = serve(server, socket)
		clients.set(socket, { socket, transport })
		socket.on('close', () => clients.delete(socket))
		return transport
	}
	for (const { socket, state } of inherited) {
		const transport = add(socket)
		if (state !== undefined) transport.restore(state)
	}
	listener.on('connection', add)
	return {
		path,
		server: listener,
		clients: () => [...clients.values()],
		close: async () => {
			for (const socket of clients.keys()) socket.destroy()
			await new Promise<void>((resolve) => listener.close(() => resolve()))
			rmSync(path, { force: true })
		},
	}
}

/** Connects to a XenStore's socket. UserError when nobody listens there. `onClose` hears that the connection is at its end. */
export async function connectXenstore(path: string, onClose: () => void = () => {}): Promise<XenstoreClient> {
	const socket = await connected(path)
	const client = new XenstoreClient({ write: (bytes) => void socket.write(bytes), close: () => socket.end() })
	socket.on('data', (chunk) => client.onData(chunk))
	socket.on('close', () => {
		client.onClose()
		onClose()
	})
	socket.on('error', () => socket.destroy())
	return client
}

/** A Unix socket's queue of connections can be full for a moment: connect() then says EAGAIN instead of waiting. */
async function connected(path: string): Promise<Socket> {
	for (const end = Date.now() + QUEUE_PATIENCE_MS; ; ) {
		const socket = connect(path)
		const cause = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
			socket.once('connect', () => resolve(undefined))
			socket.once('error', resolve)
		})
		if (cause === undefined) {
			socket.removeAllListeners('error')
			return socket
		}
		if (cause.code !== 'EAGAIN' || Date.now() > end)
			throw new UserError(`cannot connect to XenStore at ${path}`, { code: 'xenstore-connect', cause })
		await new Promise((resolve) => setTimeout(resolve, 5))
	}
}

function serve(server: XenstoreServer, socket: Socket): StreamTransport {
	const transport = server.accept({
		write: (bytes) => socket.write(bytes),
		pause: () => void socket.pause(),
		resume: () => void (socket.isPaused() && socket.resume()),
		close: () => void socket.destroy(),
	})
	socket.on('data', (chunk) => transport.onData(chunk))
	socket.on('drain', () => transport.onWritable())
	socket.on('close', () => transport.onClose())
	socket.on('error', () => socket.destroy())
	return transport
}

/** Nobody answers at a socket whose server was killed. */
async function removeStale(path: string): Promise<void> {
	if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return
	const code = await new Promise<string>((resolve) => {
		const probe = connect(path, () => {
			probe.destroy()
			resolve('connected')
		})
		probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
	})
	if (code === 'connected') throw new UserError(`cannot listen on ${path}: a XenStore is served there already`, { code: 'xenstore-listen' })
	if (code === 'ECONNREFUSED') rmSync(path)
}

function listening(listener: Server, path: string): Promise<void> {
	return new Promise((resolve, reject) => {
		listener.once('error', (cause) => reject(new UserError(`cannot listen on ${path}`, { code: 'xenstore-listen', cause })))
		listener.listen({ path, backlog: BACKLOG }, resolve)
	})
}
