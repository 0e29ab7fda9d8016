import { fileURLToPath } from 'node:url'
import { dialSocket } from '../platform/node/xenctrl_socket.ts'
import { connectXenstore } from '../platform/node/xenstore_socket.ts'
import { RemoteXen } from '../xenctrl/remote_xen.ts'
import type { HostLink, OpenHost } from './hypervisor_host.ts'
import { isAlive } from './process_state.ts'
import type { RunDir } from './rundir.ts'
import { startProcess } from './start_process.ts'

const PROGRAM = fileURLToPath(new URL('./hypervisor_main.ts', import.meta.url))
const STOP_TIMEOUT_MS = 5000

/** Connects to the hypervisor and the store of a run directory, and starts them when they are not there. */
export function hypervisorOpener({ path: rundir, hypervisor, xenstore }: RunDir): OpenHost {
	return async () => {
		const attempt = () => connectXen(hypervisor.socket)
		const start = { name: 'the hypervisor', program: PROGRAM, rundir, log: hypervisor.log, attempt }
		const xen = (await attempt()) ?? (await startProcess(start)).result
		const { bootId, pid } = await xen.info()
		const storeLost = Promise.withResolvers<void>()
		const store = await connectXenstore(xenstore, () => storeLost.resolve())
		const link: HostLink = {
			xen,
			store,
			bootId,
			lost: Promise.race([xen.closed, storeLost.promise]),
			async close({ stop }) {
				const stopping = stop && (await xen.stopIfIdle().catch(() => true))
				store.close()
				if (!stopping) xen.close()
				else for (let waited = 0; isAlive(pid) && waited < STOP_TIMEOUT_MS; waited += 10) await delay(10)
			},
		}
		return link
	}
}

/** Undefined when nobody listens there. */
async function connectXen(socket: string): Promise<RemoteXen | undefined> {
	try {
		return await RemoteXen.connect(dialSocket(socket), 'toolstack')
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException
		if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'hypervisor-gone') return undefined
		throw error
	}
}

function delay(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}
