import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { dialSocket } from '../platform/node/xenctrl_socket.ts'
import { listenXenstore } from '../platform/node/xenstore_socket.ts'
import { remoteRings } from '../xenctrl/remote_rings.ts'
import { RemoteXen } from '../xenctrl/remote_xen.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import { endOnFault } from './fault.ts'
import { takeLock } from './lock.ts'
import { openLog } from './log.ts'
import { openRunDir } from './rundir.ts'

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
	const store = new XenstoreServer({ ringHost: remoteRings({ dial }), defer: setImmediate })
	xen.onEvent(({ type, domid }) => (type === 'shutdown' ? store.domains.shutDown(domid) : store.domains.gone(domid)))
	mkdirSync(dirname(rundir.xenstore), { recursive: true, mode: 0o700 })
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
