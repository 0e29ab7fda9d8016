/** What xm and xl share as processes. */
import { connect, connectRunning } from '../sdk/connect.ts'
import type { CommandContext } from './command.ts'

/** Runs a program with this process's words and streams, and ends the process with its status. */
export async function runProcess(name: string, run: (words: readonly string[], context: CommandContext) => Promise<number>): Promise<void> {
	const context: CommandContext = {
		stdin: process.stdin,
		stdout: process.stdout,
		stderr: process.stderr,
		cwd: process.cwd(),
		connect: async () => (await connect({ report: (line) => context.complain(`${name}: ${line}`) })).client,
		connectRunning: () => connectRunning(),
		print: (line) => void process.stdout.write(`${line}\n`),
		complain: (line) => void process.stderr.write(`${line}\n`),
	}
	process.on('SIGINT', () => {
		context.print('Interrupted.')
		process.exit(0)
	})
	// A reader that goes away (`xm list | head -1`) is no fault of ours.
	process.stdout.on('error', (error: NodeJS.ErrnoException) => {
		if (error.code === 'EPIPE') process.exit(0)
		throw error
	})
	const status = await run(process.argv.slice(2), context)
	// Whatever still waits to be written is; then no open handle keeps us.
	process.exitCode = status
	process.stdout.write('', () => process.exit(status))
}
