import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dialSocket } from '../platform/node/xenctrl_socket.ts'
import { handOver, inherit } from '../platform/node/xenstore_handover.ts'
import { FileJournal, readJournal } from '../platform/node/xenstore_journal.ts'
import { listenXenstore, serveClients, type XenstoreListener } from '../platform/node/xenstore_socket.ts'
import type { Log } from '../toolstack/log_level.ts'
import { remoteRings } from '../xenctrl/remote_rings.ts'
import { RemoteXen } from '../xenctrl/remote_xen.ts'
import type { Dial } from '../xenctrl/wire.ts'
import type { StoreRecord } from '../xenstore/journal.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import type { GuestTransactions } from '../xenstore/store.ts'
import { daemonCommand } from './daemon_command.ts'
import { endOnFault } from './fault.ts'
import { takeLock } from './lock.ts'
import { openLog } from './log.ts'
import { writePidFile } from './pid_file.ts'
import { openRunDir, type RunDir } from './rundir.ts'

/**
 * xenstored's process from its first line to its last: never returns. It serves dom0's programs on its socket, and guests on their rings,
 * which it reaches through the hypervisor. When the hypervisor ends it ends: what the store says is about domains that are no more.
 */
export async function runXenstored(): Promise<never> {
	const rundir = openRunDir()
	const inherited = process.connected ? await inherit() : undefined
	const lock = inherited === undefined ? takeLock(rundir.xenstored.lock) : await takeLockSoon(rundir.xenstored.lock)
	// Another start was quicker; its store serves both callers.
	if (lock === undefined) process.exit(0)

	const log = openLog(rundir.xenstored.log)
	endOnFault('xenstored', log)
	const dial = dialSocket(rundir.hypervisor.socket)
	const xen = await RemoteXen.connect(dial, 'xenstored')
	mkdirSync(dirname(rundir.xenstore), { recursive: true, mode: 0o700 })
	const { store, journal } = await startStore(rundir, xen, dial, log, inherited?.guests ?? [])
	writePidFile(rundir.xenstored.pid)
	const listener =
		inherited === undefined
			? await listenXenstore(store, rundir.xenstore)
			: serveClients(store, inherited.listener, rundir.xenstore, inherited.clients)
	store.store.liveUpdate.begin = () => liveUpdate(rundir, listener, store, journal, log)
	log('info', `xenstored started: pid ${process.pid}, socket ${rundir.xenstore}`)

	const ended = Promise.withResolvers<string>()
	void xen.closed.then(() => ended.resolve('the hypervisor has ended'))
	for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended.resolve(`got ${signal}`))
	process.on('SIGHUP', () => {})
	log('info', `xenstored ends: ${await ended.promise}.`)
	await listener.close()
	rmSync(rundir.xenstored.pid, { force: true })
	lock[Symbol.dispose]()
	process.exit(0)
}

/** The store as the xenstored before has left it, if that served the same hypervisor; its guests' conversations go on. */
async function startStore(
	rundir: RunDir,
	xen: RemoteXen,
	dial: Dial,
	log: Log,
	guests: GuestTransactions,
): Promise<{ store: XenstoreServer; journal: FileJournal }> {
	const path = rundir.xenstored.journal
	const { bootId } = await xen.info()
	let resuming = true
	const make = () => new XenstoreServer({ ringHost: remoteRings({ dial, resume: () => resuming }), defer: setImmediate })
	const ended = new Map<number, 'shut down' | 'gone'>()
	let store: XenstoreServer | undefined
	xen.onEvent(({ type, domid }) => {
		if (store === undefined) ended.set(domid, type === 'shutdown' ? 'shut down' : 'gone')
		else if (type === 'shutdown') store.domains.shutDown(domid)
		else store.domains.gone(domid)
	})
	const states = new Map((await xen.domains()).map((state) => [state.domid, state]))
	const restored = restore(make, () => readJournal(path, bootId), log)
	for (const domid of restored.domains.introduced) {
		const state = states.get(domid)
		if (state === undefined) ended.set(domid, 'gone')
		else if (state.shutdown && !ended.has(domid)) ended.set(domid, 'shut down')
	}
	store = restored
	const onFailure = (error: Error) =>
		log('error', `XenStore's journal ${path} cannot be written (${error.message}): the store ends with this process.`)
	const journal = new FileJournal({ path, bootId, snapshot: () => restored.snapshot(), onFailure })
	store.store.startJournal(journal)
	store.store.resumeGuests(guests)
	store.domains.reattach(ended)
	resuming = false
	return { store, journal }
}

function restore(make: () => XenstoreServer, read: () => StoreRecord[], log: Log): XenstoreServer {
	try {
		const records = read()
		const store = make()
		store.restore(records)
		if (records.length > 0) log('info', `The store goes on where the xenstored before was: ${records.length} records.`)
		return store
	} catch (error) {
		log('error', `The store begins anew: ${error instanceof Error ? error.message : String(error)}`)
		return make()
	}
}

/**
 * Another process takes over, and this one ends; its lock is the last that it has. Resolves when the other did not start, rejects when it
 * died with a part of the clients: then this one must end, too.
 */
async function liveUpdate(
	rundir: RunDir,
	listener: XenstoreListener,
	store: XenstoreServer,
	journal: FileJournal,
	log: Log,
): Promise<void> {
	log('info', 'live update: the next xenstored starts.')
	const heir = startHeir(rundir)
	const ready = await new Promise<boolean>((resolve) => {
		heir.once('message', () => resolve(true))
		heir.once('exit', () => resolve(false))
	})
	if (!ready) {
		log('error', 'live update: the next xenstored did not start; this one goes on.')
		return
	}
	store.domains.freeze()
	await handOver(heir, listener, store.store.guestTransactions, () => {
		journal.close()
		log('info', `live update: pid ${heir.pid} goes on.`)
		// Without closing anything: that would remove the socket's name.
		process.exit(0)
	})
}

function startHeir(rundir: RunDir): ChildProcess {
	const program = fileURLToPath(new URL('./xenstored_main.ts', import.meta.url))
	const { args, env } = daemonCommand(program, rundir.path, process.execArgv, process.env)
	const output = openSync(rundir.xenstored.log, 'a', 0o600)
	const stdio = ['ignore', output, output, 'ipc'] as const
	const heir = spawn(process.execPath, args, { cwd: '/', detached: true, stdio: [...stdio], serialization: 'advanced', env })
	closeSync(output)
	return heir
}

/** How long a process may take to end on a busy host. An heir that gave up would take every client's connection with it. */
const ENDING_MS = 30_000

/** For an heir: the one before is ending, and has the lock for a moment still. */
async function takeLockSoon(path: string): Promise<Disposable | undefined> {
	for (const end_ms = performance.now() + ENDING_MS; performance.now() < end_ms; ) {
		const lock = takeLock(path)
		if (lock !== undefined) return lock
		await new Promise((resolve) => setTimeout(resolve, 5))
	}
	return undefined
}
