/**
 * A XenStore that goes on in another process without its clients' noticing: the listening socket and each client's connection go over an
 * IPC channel, with what was received and not served and what was not sent yet. The store itself goes by its journal.
 *
 * What a client sends meanwhile waits in its socket. What was written to a socket and has not left this process can't go along: it is
 * given PATIENCE_MS to leave, then its client, which does not read, is cut off.
 */
import type { ChildProcess } from 'node:child_process'
import { type Server, Socket } from 'node:net'
import type { ConnectionState } from '../../xenstore/connection.ts'
import type { GuestTransactions } from '../../xenstore/store.ts'
import type { XenstoreListener } from './xenstore_socket.ts'

const PATIENCE_MS = 1000

type HandoverMessage =
	| { readonly kind: 'listener' }
	| { readonly kind: 'client'; readonly state: ConnectionState }
	| { readonly kind: 'all'; readonly guests: GuestTransactions }

export interface Inheritance {
	readonly listener: Server
	readonly clients: readonly { readonly socket: Socket; readonly state: ConnectionState | undefined }[]
	readonly guests: GuestTransactions
}

/**
 * Sends everything, and calls `leave` in the turn in which nothing is left to be sent: it must end this process. Until then this
 * process and the heir both take new clients; the heir serves none before this process is gone. Rejects when the heir dies meanwhile.
 */
export function handOver(heir: ChildProcess, listener: XenstoreListener, guests: GuestTransactions, leave: () => never): Promise<never> {
	// What waits to be sent to a process that has died is never told of it.
	const died = new Promise<never>((_, reject) => {
		heir.once('exit', () => reject(new Error('the next xenstored has died in the middle of the handover')))
	})
	return Promise.race([died, sendAll(heir, listener, guests, leave)])
}

async function sendAll(heir: ChildProcess, listener: XenstoreListener, guests: GuestTransactions, leave: () => never): Promise<never> {
	const { server, clients } = listener
	const sent = new Set<Socket>()
	const left = () => clients().filter(({ socket }) => !sent.has(socket) && !socket.destroyed)
	for (const { transport } of left()) transport.freeze()
	for (let waited_ms = 0; waited_ms < PATIENCE_MS && left().some(({ socket }) => socket.writableLength > 0); waited_ms += 5) await delay(5)
	await send(heir, { kind: 'listener' }, server)
	await sendClients()
	await send(heir, { kind: 'all', guests })
	await sendClients()
	return leave()

	async function sendClients(): Promise<void> {
		for (let [client] = left(); client !== undefined; [client] = left()) {
			const { socket, transport } = client
			transport.freeze()
			sent.add(socket)
			if (socket.writableLength > 0) {
				socket.destroy()
				continue
			}
			// What the socket has read already goes to the transport as its data.
			while (socket.read() !== null);
			stopReading(socket)
			await send(heir, { kind: 'client', state: transport.state() }, socket)
		}
	}
}

/** The heir's end: resolves when who hands over is gone. Rejects when that was before all was here. */
export async function inherit(): Promise<Inheritance> {
	const clients: { socket: Socket; state: ConnectionState | undefined }[] = []
	let listener: Server | undefined
	let guests: GuestTransactions | undefined
	const gone = new Promise<void>((resolve) => process.once('disconnect', resolve))
	const receive = (socket: Socket, state: ConnectionState | undefined) => {
		clients.push({ socket, state })
		// Nobody serves it yet, and yet it is read from: a client that breaks its connection now must end nothing but that.
		socket.on('error', () => socket.destroy())
	}
	process.on('message', (message: HandoverMessage, handle: unknown) => {
		if (message.kind === 'listener') {
			listener = handle as Server
			listener.on('connection', (socket) => receive(socket, undefined))
		} else if (message.kind === 'all') guests = message.guests
		// The socket of a client that left while it waited to be sent does not come along.
		else if (handle instanceof Socket) receive(handle, message.state)
	})
	process.send?.('ready')
	await gone
	if (guests === undefined || listener === undefined) throw new Error('the xenstored before has ended in the middle of the handover')
	listener.removeAllListeners('connection')
	return { listener, clients: clients.filter(({ socket }) => !socket.destroyed), guests }
}

/** send() leaves the handle reading until the heir has it, and drops what it reads: Node has no public way to stop it at once. */
function stopReading(socket: Socket): void {
	const { _handle } = socket as Socket & { readonly _handle?: { readStop(): void } }
	_handle?.readStop()
}

function send(heir: ChildProcess, message: HandoverMessage, handle?: Server | Socket): Promise<void> {
	return new Promise((resolve, reject) => {
		heir.send(message, handle, {}, (error) => (error === null ? resolve() : reject(error)))
	})
}

function delay(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}
