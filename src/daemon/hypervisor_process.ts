import { randomUUID } from 'node:crypto'
import { collectGarbageSoon } from '../platform/node/collect_garbage.ts'
import { hostClock } from '../platform/node/host_clock.ts'
import { openFile } from '../platform/node/input_file.ts'
import { loadCore } from '../platform/node/load_core.ts'
import { createFile } from '../platform/node/output_file.ts'
import { readImage } from '../platform/node/read_image.ts'
import { regionCacheDirectory } from '../platform/node/region_cache.ts'
import { SourceState } from '../platform/node/source_state.ts'
import { nodeVcpuThreads } from '../platform/node/vcpu_thread.ts'
import { listenXen } from '../platform/node/xenctrl_socket.ts'
import { Hypervisor } from '../xen/hypervisor.ts'
import { LocalXen } from '../xenctrl/local_xen.ts'
import { storeRings } from '../xenctrl/store_rings.ts'
import { XenServer } from '../xenctrl/xen_server.ts'
import { endOnFault } from './fault.ts'
import { takeLock } from './lock.ts'
import { openLog } from './log.ts'
import { openRunDir } from './rundir.ts'
import { removeStartNote, writeStartNote } from './start_note.ts'
import { startOver } from './start_over.ts'

/** Without domains and connections for this long, the hypervisor ends by itself. */
const IDLE_EXIT_MS = 10_000

/** What a first start is at, and one after the processor's sources have changed. */
const BUILDING = "building the processor's core (once, half a minute or so)"

/** How long connections to a domain's rings and console may take to let go of a domain that is gone: its memory is garbage only then. */
const LET_GO_MS = 500

/** The hypervisor's process from its first line to its last: never returns. */
export async function runHypervisor(): Promise<never> {
	const rundir = openRunDir()
	const lock = takeLock(rundir.hypervisor.lock)
	// Another start was quicker; its hypervisor serves both callers.
	if (lock === undefined) process.exit(0)

	const log = openLog(rundir.hypervisor.log)
	endOnFault('the hypervisor', log)
	const sources = new SourceState()
	let isBuilt = false
	const core = await loadCore((line) => {
		log('info', line)
		isBuilt = true
		writeStartNote(rundir.startNote, BUILDING)
	}).finally(() => removeStartNote(rundir.startNote))
	// Its compiler takes a hundred megabytes, and is not needed again.
	if (isBuilt) startOver()
	const clockOrigin = process.hrtime()
	const threads = nodeVcpuThreads(core, clockOrigin, { regionCache: regionCacheDirectory() })
	const hypervisor = new Hypervisor({
		clock: hostClock(clockOrigin),
		threads,
		onLog: (level, line) => {
			if (level === 'error' || level === 'warning') log(level, line.trimEnd())
		},
		onReleased: () => void setTimeout(collectGarbageSoon, LET_GO_MS),
	})
	const bootId = randomUUID()
	const ended = Promise.withResolvers<string>()
	const xen = new LocalXen({
		hypervisor,
		readImage,
		createFile,
		openFile,
		bootId,
		pid: process.pid,
		dom0Time_s,
		checkStart: () => sources.check(),
		stop: () => ended.resolve('asked to stop, without a domain'),
	})

	let idle: NodeJS.Timeout | undefined
	const rearm = () => {
		clearTimeout(idle)
		if (xen.idle && server.toolstackCount === 0) idle = setTimeout(() => ended.resolve('no domain and no toolstack'), IDLE_EXIT_MS)
	}
	xen.onEvent(({ type }) => {
		if (type === 'destroyed') rearm()
	})
	const server = new XenServer({ xen, bootId, pid: process.pid, rings: storeRings(xen, setImmediate), onToolstacks: rearm })
	const listener = await listenXen(server, rundir.hypervisor.socket)
	for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended.resolve(`got ${signal}`))
	process.on('SIGHUP', () => {})
	rearm()
	log('info', `hypervisor started: pid ${process.pid}, socket ${rundir.hypervisor.socket}`)

	log('info', `the hypervisor ends: ${await ended.promise}.`)
	await xen.close()
	await threads.close()
	await listener.close()
	lock[Symbol.dispose]()
	process.exit(0)
}

/** What this thread has used: the hypervisor's control half and the backends. */
function dom0Time_s(): number {
	const { user, system } = process.threadCpuUsage()
	return (user + system) / 1e6
}
