import { chmodSync, existsSync, lstatSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { UserError } from '../base/errors.ts'

/** Where the daemon of this user keeps its socket, lock and log. */
export interface RunDir {
	readonly path: string
	readonly socket: string
	/** XenStore's, for dom0's clients: they look for it as $XENSTORED_RUNDIR/socket. */
	readonly xenstore: string
	readonly lock: string
	readonly log: string
	/** What a start that takes long is at (start_note.ts). */
	readonly startNote: string
	/** The hypervisor's socket, lock and log. */
	readonly hypervisor: ProcessFiles
	/** xenstored's; the socket is `xenstore`. */
	readonly xenstored: Omit<ProcessFiles, 'socket'> & { readonly pid: string; readonly journal: string }
	/** Records of live domains: they last as long as the directory, which may not survive the host. */
	readonly records: string
	/** One log a domain. */
	readonly domainLogs: string
	/**
	 * Records of managed domains, for good: `$XENOTYPE_STATEDIR`, else `state` in a run directory that XENOTYPE_RUNDIR names, else
	 * `$XDG_STATE_HOME/xenotype`, else `~/.local/state/xenotype`. Made when it is needed.
	 */
	readonly state: string
}

/** What a process of ours keeps in the run directory. */
export interface ProcessFiles {
	readonly socket: string
	readonly lock: string
	readonly log: string
}

/** sun_path of Linux holds 108 bytes with the final NUL; macOS has 104. */
const MAX_SOCKET_PATH = 103

/**
 * `$XENOTYPE_RUNDIR`, else `$XDG_RUNTIME_DIR/xenotype`, else `/tmp/xenotype-<uid>`. Made with mode 0700 when missing.
 * Throws UserError when it belongs to somebody else or others may enter it: who can reach the socket controls the domains.
 */
export function openRunDir(env: Readonly<Record<string, string | undefined>> = process.env): RunDir {
	const uid = process.getuid?.() ?? 0
	const path = env.XENOTYPE_RUNDIR || (env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'xenotype') : `/tmp/xenotype-${uid}`)
	makeDirectory(path)
	const stat = lstatSync(path)
	if (!stat.isDirectory()) throw new UserError(`the run directory ${path} is not a directory`)
	if (stat.uid !== uid)
		throw new UserError(`the run directory ${path} belongs to user ${stat.uid}, not to user ${uid}: set XENOTYPE_RUNDIR`)
	if ((stat.mode & 0o077) !== 0) {
		const mode = (stat.mode & 0o777).toString(8)
		throw new UserError(`the run directory ${path} has mode ${mode}, open to others: it must be 700 (chmod 700 ${path})`)
	}
	const socket = join(path, 'xend.sock')
	const xenstore = join(path, 'xenstored', 'socket')
	if (Buffer.byteLength(xenstore) > MAX_SOCKET_PATH) {
		throw new UserError(
			`the run directory's path ${path} is too long for a socket (${MAX_SOCKET_PATH} bytes with /xenstored/socket): set XENOTYPE_RUNDIR`,
		)
	}
	return {
		path,
		socket,
		xenstore,
		lock: join(path, 'xend.lock'),
		log: join(path, 'xend.log'),
		startNote: join(path, 'starting'),
		hypervisor: filesOf(path, 'hypervisor'),
		xenstored: {
			...filesOf(path, 'xenstored'),
			pid: join(path, 'xenstored', 'xenstored.pid'),
			journal: join(path, 'xenstored', 'journal'),
		},
		records: join(path, 'domains'),
		domainLogs: join(path, 'log'),
		state: stateDirectory(env, path),
	}
}

/** With mode 0700 whatever the umask is. */
function makeDirectory(path: string): void {
	try {
		// mkdir's recursive form never ends below /proc, where nothing can be made.
		const made = existsSync(dirname(path)) ? make(path) : mkdirSync(path, { recursive: true, mode: 0o700 }) !== undefined
		if (made) chmodSync(path, 0o700)
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException
		throw new UserError(`the run directory ${path} cannot be made: ${code}: set XENOTYPE_RUNDIR`, { code: 'no-file', cause: error })
	}
}

/** False when it is there. */
function make(path: string): boolean {
	try {
		mkdirSync(path, { mode: 0o700 })
		return true
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
		throw error
	}
}

function filesOf(directory: string, name: string): ProcessFiles {
	return { socket: join(directory, `${name}.sock`), lock: join(directory, `${name}.lock`), log: join(directory, `${name}.log`) }
}

/** See RunDir.state. */
function stateDirectory(env: Readonly<Record<string, string | undefined>>, rundir: string): string {
	if (env.XENOTYPE_STATEDIR) return env.XENOTYPE_STATEDIR
	if (env.XENOTYPE_RUNDIR) return join(rundir, 'state')
	return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'xenotype')
}
