// The XenStore programs: bin/xenstore-read and its like, and bin/xenstore MODE.
import { join } from 'node:path'
import { UserError } from '../../base/errors.ts'
import { openRunDir } from '../../daemon/rundir.ts'
import { connectXenstore } from '../../platform/node/xenstore_socket.ts'
import { endWithReader } from '../broken_pipe.ts'
import { runXenstore } from './programs.ts'

/** Where Xen's own clients look too: XENSTORED_PATH, XENSTORED_RUNDIR, else the daemon's run directory. */
function socketPath(): string {
	const { XENSTORED_PATH, XENSTORED_RUNDIR } = process.env
	return XENSTORED_PATH || (XENSTORED_RUNDIR ? join(XENSTORED_RUNDIR, 'socket') : openRunDir().xenstore)
}

const [name = 'xenstore', ...words] = process.argv.slice(2)
endWithReader()
try {
	const status = await runXenstore(name, words, {
		connect: () => connectXenstore(socketPath()),
		write: (bytes) => void process.stdout.write(bytes),
		complain: (line) => void process.stderr.write(`${line}\n`),
		columns: process.stdout.columns,
	})
	process.exitCode = status
	process.stdout.write('', () => process.exit(status))
} catch (error) {
	if (!(error instanceof UserError)) throw error
	process.stderr.write(`${name}: ${error.message}\n`)
	process.exitCode = error.exitCode
}
