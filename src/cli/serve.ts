import { connect } from 'node:net'
import { UserError } from '../base/errors.ts'
import type { Command } from './command.ts'

/**
 * One connection to the daemon's API over stdin and stdout, byte for byte: what `ssh HOST xm serve` is for. Whatever can be said on the daemon's socket can be
 * said here: HTTP requests one after the other, an event stream, or the upgrade to a console. It ends with either side.
 */
export const SERVE: Command = {
	name: 'serve',
	args: '',
	help: "Offer the daemon's HTTP interface over stdin and stdout.",
	options: [],
	operands: [0, 0],
	usageOnFault: true,
	async run(context) {
		const { stdin, stdout } = context
		const client = await context.connect()
		await new Promise<void>((resolve, reject) => {
			const socket = connect({ path: client.socketPath, allowHalfOpen: true })
			socket.on('error', (error) => reject(new UserError(`the connection to xend was lost: ${error.message}`, { code: 'unreachable' })))
			socket.on('close', () => resolve())
			socket.on('end', () => socket.end())
			stdout.on('error', () => socket.destroy())
			stdin.on('error', () => socket.destroy())
			stdin.pipe(socket)
			socket.pipe(stdout, { end: false })
		}).finally(() => stdin.pause())
		return 0
	},
}
