import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dialSocket } from '../platform/node/xenctrl_socket.ts'
import { connectXenstore } from '../platform/node/xenstore_socket.ts'
import { RemoteXen } from '../xenctrl/remote_xen.ts'
import type { XenstoreClient } from '../xenstore/client.ts'
import type { OpenHost } from './hypervisor_host.ts'
import { isAlive } from './process_state.ts'
import type { RunDir } from './rundir.ts'
import { startProcess } from './start_process.ts'

const HYPERVISOR = fileURLToPath(new URL('./hypervisor_main.ts', import.meta.url))
const XENSTORED = fileURLToPath(new URL('./xenstored_main.ts', import.meta.url))
const STOP_TIMEOUT_MS = 5000

/** Connects to the hypervisor and xenstored of a run directory, and starts them when they are not there. */
export function hypervisorOpener(rundir: RunDir): OpenHost {
	const { hypervisor, xenstored, xenstore: storeSocket } = rundir
	const connected = <T>(name: string, program: string, log: string, attempt: () => Promise<T | undefined>) =>
		attempt().then(async (result) => result ?? (await startProcess({ name, program, rundir, log, attempt })).result)
	return async () => {
		const xen = await connected('the hypervisor', HYPERVISOR, hypervisor.log, () => connectXen(hypervisor.socket))
		const { bootId, pid } = await xen.info()
		const storeLost = Promise.withResolvers<void>()
		const store = await connected('xenstored', XENSTORED, xenstored.log, () => connectStore(storeSocket, () => storeLost.resolve()))
		return {
			xen,
			store,
			bootId,
			lost: Promise.race([xen.closed, storeLost.promise]),
			async close({ stop }) {
				const stopping = stop && (await xen.stopIfIdle().catch(() => true))
				store.close()
				if (!stopping) return xen.close()
				const gone = () => !isAlive(pid) && !existsSync(storeSocket)
				for (let waited_ms = 0; !gone() && waited_ms < STOP_TIMEOUT_MS; waited_ms += 10) await delay(10)
			},
		}
	}
}

async function connectStore(socket: string, onClose: () => void): Promise<XenstoreClient | undefined> {
	try {
		return await connectXenstore(socket, onClose)
	} catch (error) {
		const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException
		if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
		throw error
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
