import { spawn } from 'node:child_process'
import { Duplex } from 'node:stream'
import { XendClient } from './client.ts'

/** A client of the daemon that `command` reaches, as `ssh HOST xm serve` does: it is run for each connection, and talks over its stdin and stdout. */
export function remoteClient(command: readonly string[]): XendClient {
	const [program = '', ...words] = command
	const dial = () => {
		// An xm that is run here is the other end, whatever this one is told.
		const env = { ...process.env, XENOTYPE_XEND: '' }
		const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'], env })
		const connection = Duplex.from({ readable: child.stdout, writable: child.stdin })
		child.on('error', (error) => connection.destroy(error))
		// Whoever uses the connection hears of its errors, but not any more once it has let go of it.
		connection.on('error', () => {})
		connection.on('close', () => child.kill())
		return connection
	}
	return new XendClient(command.join(' '), { dial })
}
