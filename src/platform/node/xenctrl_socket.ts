import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Channel, ChannelEvents, Dial } from '../../xenctrl/wire.ts'
import type { XenServer } from '../../xenctrl/xen_server.ts'

/** Opens streams to the hypervisor's socket. Rejects with what connect(2) says. */
export function dialSocket(path: string): Dial {
	return async (events) => {
		const socket = connect(path)
		await new Promise<void>((resolve, reject) => {
			socket.once('connect', resolve)
			socket.once('error', reject)
		})
		join(socket, events)
		return channelOf(socket)
	}
}

/**
 * Serves the hypervisor's interface on a Unix socket that only its owner may use. What a dead one has left there is removed: the
 * caller holds the lock that says nobody else listens.
 */
export async function listenXen(server: XenServer, path: string): Promise<{ close(): Promise<void> }> {
	const sockets = new Set<Socket>()
	const listener = createServer((socket) => {
		sockets.add(socket)
		socket.on('close', () => sockets.delete(socket))
		join(socket, server.accept(channelOf(socket)))
	})
	rmSync(path, { force: true })
	await listening(listener, path)
	return {
		async close() {
			await new Promise<void>((resolve) => {
				listener.close(() => resolve())
				for (const socket of sockets) socket.destroySoon()
			})
			rmSync(path, { force: true })
		},
	}
}

function join(socket: Socket, events: ChannelEvents): void {
	socket.on('data', (chunk: Uint8Array) => events.onData(chunk))
	socket.on('drain', () => events.onWritable())
	socket.on('close', () => events.onClose())
	socket.on('error', () => socket.destroy())
}

function channelOf(socket: Socket): Channel {
	return {
		write: (bytes) => socket.writable && socket.write(bytes),
		pause: () => void socket.pause(),
		resume: () => void socket.resume(),
		close: () => socket.destroySoon(),
	}
}

/** The socket is made with mode 0600. */
async function listening(listener: Server, path: string): Promise<void> {
	const umask = process.umask(0o177)
	try {
		await new Promise<void>((resolve, reject) => {
			listener.once('error', reject)
			listener.listen(path, resolve)
		})
	} finally {
		process.umask(umask)
	}
}
