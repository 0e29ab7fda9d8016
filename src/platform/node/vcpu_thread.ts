import { Worker } from 'node:worker_threads'
import type { LogLevel } from '../../xen/vcpu.ts'
import type { PreparedThread, VcpuStart, VcpuThread, VcpuThreadEvents, VcpuThreads } from '../../xen/vcpu_threads.ts'
import { besideModule } from './beside.ts'
import { CompileThread } from './compile_thread.ts'
import type { ClockOrigin } from './host_clock.ts'
import type { CompilerConnection } from './region_compiler.ts'

/** What the worker is made with. */
export interface VcpuWorkerData {
	readonly core: WebAssembly.Module
	/** See hostClock(). */
	readonly clockOrigin: ClockOrigin
}

/** What it is posted to be a vCPU; nothing else is. */
export interface VcpuWorkerStart {
	readonly request: VcpuStart
	readonly compiler: CompilerConnection
}

/** What the worker posts. */
export type VcpuWorkerMessage =
	| { readonly type: 'log'; readonly level: LogLevel; readonly message: string }
	| { readonly type: 'console'; readonly bytes: Uint8Array }
	| { readonly type: 'report'; readonly lines: readonly string[] }
	| { readonly type: 'shutdown'; readonly reason: number; readonly crashReason?: string | undefined }

export interface VcpuThreadOptions {
	/** Directory of the translation cache; undefined: none. */
	readonly regionCache?: string | undefined
}

export interface NodeVcpuThreads extends VcpuThreads {
	/** After the last vCPU has ended: resolves when the translation cache has been written. */
	close(): Promise<void>
}

/** vCPUs as worker threads of this process. `core` is the compiled processor, `clockOrigin` that of the hypervisor's clock. */
export function nodeVcpuThreads(core: WebAssembly.Module, clockOrigin: ClockOrigin, options: VcpuThreadOptions = {}): NodeVcpuThreads {
	const compilers = new CompileThread({ core, cacheDirectory: options.regionCache })
	const workerData: VcpuWorkerData = { core, clockOrigin }
	return { close: () => compilers.close(), prepare: (domid, vcpu) => new PreparedWorker(compilers, workerData, `d${domid}v${vcpu}`) }
}

class PreparedWorker implements PreparedThread {
	private readonly compilers: CompileThread
	private readonly letGo: () => void
	private readonly worker: Worker
	/** With what has ended it, if it was a fault. */
	private readonly ended: Promise<Error | undefined>

	constructor(compilers: CompileThread, workerData: VcpuWorkerData, name: string) {
		this.compilers = compilers
		this.letGo = compilers.hold()
		this.worker = new Worker(besideModule('vcpu_worker', import.meta.url), { workerData, name })
		let failure: Error | undefined
		this.worker.on('error', (error) => {
			failure = error instanceof Error ? error : new Error(String(error))
		})
		this.ended = new Promise((resolve) => this.worker.once('exit', () => resolve(failure)))
		this.worker.unref()
	}

	start(request: VcpuStart, events: VcpuThreadEvents): VcpuThread {
		const { worker } = this
		const compiler = this.compilers.lease({ cached: request.translationCache })
		this.letGo()
		worker.ref()
		worker.on('message', (message: VcpuWorkerMessage) => receive(message, events))
		worker.postMessage({ request, compiler: compiler.connection } satisfies VcpuWorkerStart, [compiler.connection.port])
		void this.ended.then((failure) => {
			compiler.release()
			events.ended(failure)
		})
		return {
			async terminate() {
				await worker.terminate()
			},
		}
	}

	discard(): void {
		this.letGo()
		void this.worker.terminate()
	}
}

function receive(message: VcpuWorkerMessage, events: VcpuThreadEvents): void {
	switch (message.type) {
		case 'log':
			return events.log(message.level, message.message)
		case 'console':
			return events.emergencyConsole(message.bytes)
		case 'report':
			return events.report(message.lines)
		case 'shutdown':
			return events.shutdown(message.reason, message.crashReason)
	}
}
