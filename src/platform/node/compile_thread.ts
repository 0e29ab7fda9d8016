import { MessageChannel, Worker } from 'node:worker_threads'
import { besideModule } from './beside.ts'
import type { CompileWorkerData, CompileWorkerMessage } from './compile_worker.ts'
import type { CompilerConnection } from './region_compiler.ts'

/** A connection that belongs to one vCPU. */
export interface CompilerLease {
	/** For the vCPU's worker; its port is to be transferred. */
	readonly connection: CompilerConnection
	/** The vCPU is gone. */
	release(): void
}

/** Tells the process's log. */
function logFault(error: Error): void {
	process.stderr.write(
		`The compile worker has ended by a fault: domains that run go on without new translations. ${error.stack ?? error.message}\n`,
	)
}

/**
 * The process's compile worker: there is one while somebody holds it or a lease. A fault of ours in it ends it and not the domains: who holds a lease then gets no more answers, and
 * the next lease has a new worker.
 */
export class CompileThread {
	private readonly data: CompileWorkerData
	private readonly onFault: (error: Error) => void
	private worker: Worker | undefined
	private leases = 0
	/** Workers that still write. */
	private readonly ending = new Set<{ readonly worker: Worker; readonly ended: Promise<unknown> }>()

	constructor(data: CompileWorkerData, onFault = logFault) {
		this.data = data
		this.onFault = onFault
	}

	/** `cached`: with the translation cache, if there is one. */
	lease({ cached = true } = {}): CompilerLease {
		const release = this.hold()
		const { port1, port2 } = new MessageChannel()
		const posted = new Int32Array(new SharedArrayBuffer(4))
		this.worker?.postMessage({ type: 'client', port: port2, posted, isCached: cached } satisfies CompileWorkerMessage, [port2])
		return { connection: { port: port1, posted }, release }
	}

	/** Has the worker started for who is going to take a lease. What it returns undoes it. */
	hold(): () => void {
		this.worker ??= this.start()
		this.leases++
		let isReleased = false
		return () => {
			if (isReleased) return
			isReleased = true
			if (--this.leases === 0) this.stop()
		}
	}

	/** Resolves when what was to be kept on disk has been written. All leases have been released. */
	async close(): Promise<void> {
		for (const { worker } of this.ending) worker.ref()
		await Promise.all([...this.ending].map(({ ended }) => ended))
	}

	private start(): Worker {
		const worker = new Worker(besideModule('compile_worker', import.meta.url), { workerData: this.data, name: 'compiler' })
		worker.unref()
		worker.on('error', (error) => {
			if (this.worker === worker) this.worker = undefined
			this.onFault(error instanceof Error ? error : new Error(String(error)))
		})
		return worker
	}

	private stop(): void {
		const { worker } = this
		if (worker === undefined) return
		this.worker = undefined
		const entry = { worker, ended: new Promise((resolve) => worker.once('exit', resolve)).finally(() => this.ending.delete(entry)) }
		this.ending.add(entry)
		worker.postMessage({ type: 'end' } satisfies CompileWorkerMessage)
	}
}
