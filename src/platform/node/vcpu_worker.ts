// A worker thread that is one vCPU.
import { setFlagsFromString } from 'node:v8'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import type { RegionTrace } from '../../x86/translator/region_trace.ts'
import { vcpuThread } from '../../xen/vcpu_thread_body.ts'
import { hostClock } from './host_clock.ts'
import { randomNumbers } from './random_numbers.ts'
import { WorkerCompiler } from './region_compiler.ts'
import { openRegionTrace } from './region_trace_file.ts'
import type { VcpuWorkerData, VcpuWorkerMessage, VcpuWorkerStart } from './vcpu_thread.ts'

// On the main thread it is only imported (daemon/start_over.ts).
if (!isMainThread) parentPort?.once('message', (start: VcpuWorkerStart) => runVcpu(workerData as VcpuWorkerData, start))

function runVcpu({ core, clockOrigin }: VcpuWorkerData, { request, compiler }: VcpuWorkerStart): void {
	// Translated regions say which of their branches are slow paths; V8 13.6 reads that only when told to. The flag is the process's: this one is the hypervisor's.
	setFlagsFromString('--experimental-wasm-branch-hinting')
	const post = (message: VcpuWorkerMessage) => parentPort?.postMessage(message)
	vcpuThread(request, core, hostClock(clockOrigin), {
		log: (level, message) => post({ type: 'log', level, message }),
		emergencyConsole: (bytes) => post({ type: 'console', bytes }),
		random32: randomNumbers(),
		report: (lines) => post({ type: 'report', lines }),
		shutdown: (reason, crashReason) => post({ type: 'shutdown', reason, crashReason }),
		compiler: new WorkerCompiler(compiler),
		trace: openTrace({ domid: request.domain.domid, vcpu: request.vcpu }, post),
	})
}

/** A trace that cannot be written is no reason for a guest not to run. */
function openTrace(of: { domid: number; vcpu: number }, post: (message: VcpuWorkerMessage) => void): RegionTrace | undefined {
	try {
		return openRegionTrace(of)
	} catch (error) {
		post({ type: 'log', level: 'error', message: `XENOTYPE_TRACE: ${error instanceof Error ? error.message : String(error)}` })
		return undefined
	}
}
