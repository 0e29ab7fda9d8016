/** What xm and xl share as processes. */
import { UserError } from '../base/errors.ts'
import type { XendClient } from '../sdk/client.ts'
import { connect, connectRunning } from '../sdk/connect.ts'
import { remoteClient } from '../sdk/remote.ts'
import { endWithReader } from './broken_pipe.ts'
import type { CommandContext } from './command.ts'
import { whileStarting } from './progress.ts'
import { splitWords } from './shell.ts'

/** Of XENOTYPE_XEND, a command such as `ssh HOST xm serve`: the daemon that is behind it is asked instead of this user's own. */
function remote(): XendClient | undefined {
	const command = splitWords(process.env.XENOTYPE_XEND ?? '')
	if (command === undefined) throw new UserError('XENOTYPE_XEND has a quotation that does not end')
	return command.length === 0 ? undefined : remoteClient(command)
}

/** Runs a program with this process's words and streams, and ends the process with its status. */
export async function runProcess(name: string, run: (words: readonly string[], context: CommandContext) => Promise<number>): Promise<void> {
	const context: CommandContext = {
		stdin: process.stdin,
		stdout: process.stdout,
		stderr: process.stderr,
		cwd: process.cwd(),
		connect: async ({ quiet = false } = {}) =>
			remote() ?? (await whileStarting(context, quiet ? undefined : name, (report) => connect({ report }))).client,
		connectRunning: async () => remote() ?? connectRunning(),
		print: (line) => void process.stdout.write(`${line}\n`),
		complain: (line) => void process.stderr.write(`${line}\n`),
	}
	process.on('SIGINT', () => {
		context.print('Interrupted.')
		process.exit(0)
	})
	endWithReader()
	const status = await run(process.argv.slice(2), context)
	// Whatever still waits to be written is; then no open handle keeps us.
	process.exitCode = status
	process.stdout.write('', () => process.exit(status))
}
