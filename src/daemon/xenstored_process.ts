import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { dialSocket } from '../platform/node/xenctrl_socket.ts'
import { FileJournal, readJournal } from '../platform/node/xenstore_journal.ts'
import { listenXenstore } from '../platform/node/xenstore_socket.ts'
import type { Log } from '../toolstack/lifecycle_events.ts'
import { remoteRings } from '../xenctrl/remote_rings.ts'
import { RemoteXen } from '../xenctrl/remote_xen.ts'
import type { Dial } from '../xenctrl/wire.ts'
import type { StoreRecord } from '../xenstore/journal.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import { endOnFault } from './fault.ts'
import { takeLock } from './lock.ts'
import { openLog } from './log.ts'
import { openRunDir, type RunDir } from './rundir.ts'

/**
 * xenstored's process from its first line to its last: never returns. It serves dom0's programs on its socket, and guests on their rings,
 * which it reaches through the hypervisor. When the hypervisor ends it ends: what the store says is about domains that are no more.
 */
export async function runXenstored(): Promise<never> {
	const rundir = openRunDir()
	const lock = takeLock(rundir.xenstored.lock)
	// Another start was quicker; its store serves both callers.
	if (lock === undefined) process.exit(0)

	const log = openLog(rundir.xenstored.log)
	endOnFault('xenstored', log)
	const dial = dialSocket(rundir.hypervisor.socket)
	const xen = await RemoteXen.connect(dial, 'xenstored')
	mkdirSync(dirname(rundir.xenstore), { recursive: true, mode: 0o700 })
	const store = await startStore(rundir, xen, dial, log)
	writeFileSync(rundir.xenstored.pid, `${process.pid}\n`, { mode: 0o600 })
	const listener = await listenXenstore(store, rundir.xenstore)
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
async function startStore(rundir: RunDir, xen: RemoteXen, dial: Dial, log: Log): Promise<XenstoreServer> {
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
	store.store.startJournal(new FileJournal({ path, bootId, snapshot: () => restored.snapshot(), onFailure }))
	store.domains.reattach(ended)
	resuming = false
	return store
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
