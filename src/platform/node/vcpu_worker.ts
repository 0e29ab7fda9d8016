// A worker thread that is one vCPU.
import { parentPort, workerData } from 'node:worker_threads'
import { hostClock } from '../../base/clock.ts'
import { vcpuThread } from '../../xen/vcpu_thread_body.ts'
import type { VcpuWorkerData, VcpuWorkerMessage } from './vcpu_thread.ts'

const { request, core, clockOrigin_ms } = workerData as VcpuWorkerData
const post = (message: VcpuWorkerMessage) => parentPort?.postMessage(message)

vcpuThread(request, core, hostClock(clockOrigin_ms), {
	log: (level, message) => post({ type: 'log', level, message }),
	emergencyConsole: (bytes) => post({ type: 'console', bytes }),
	shutdown: (reason, crashReason) => post({ type: 'shutdown', reason, crashReason }),
})
