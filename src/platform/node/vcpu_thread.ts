import { Worker } from 'node:worker_threads'
import type { LogLevel } from '../../xen/vcpu.ts'
import type { VcpuStart, VcpuThread, VcpuThreadEvents, VcpuThreads } from '../../xen/vcpu_threads.ts'
import { besideModule } from './beside.ts'
import { CompileThread } from './compile_thread.ts'
import type { CompilerConnection } from './region_compiler.ts'

/** What the worker is made with. */
export interface VcpuWorkerData {
	readonly request: VcpuStart
	readonly core: WebAssembly.Module
	/** See hostClock(). */
	readonly clockOrigin_ms: number
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

/** vCPUs as worker threads of this process. `core` is the compiled processor, `clockOrigin_ms` this thread's performance.timeOrigin. */
export function nodeVcpuThreads(core: WebAssembly.Module, clockOrigin_ms: number, options: VcpuThreadOptions = {}): NodeVcpuThreads {
	const compilers = new CompileThread({ core, cacheDirectory: options.regionCache })
	return {
		close: () => compilers.close(),
		start(request: VcpuStart, events: VcpuThreadEvents): VcpuThread {
			const compiler = compilers.lease({ cached: request.translationCache })
			const workerData: VcpuWorkerData = { request, core, clockOrigin_ms, compiler: compiler.connection }
			const worker = new Worker(besideModule('vcpu_worker', import.meta.url), {
				workerData,
				transferList: [compiler.connection.port],
				name: `d${request.domain.domid}v${request.vcpu}`,
			})
			let failure: Error | undefined
			worker.on('message', (message: VcpuWorkerMessage) => receive(message, events))
			worker.on('error', (error) => {
				failure = error instanceof Error ? error : new Error(String(error))
			})
			worker.on('exit', () => {
				compiler.release()
				events.ended(failure)
			})
			return {
				async terminate() {
					await worker.terminate()
				},
			}
		},
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
