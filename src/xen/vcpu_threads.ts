import type { DomainDescription } from './machine_layout.ts'
import type { LogLevel } from './vcpu.ts'
import type { SavedContext } from './vcpu_restore.ts'
import type { InitialContext } from './vcpu_start.ts'

/** What a vCPU's thread is started with; plain data, and the domain's shared memory. */
export interface VcpuStart {
	readonly domain: DomainDescription
	readonly memory: WebAssembly.Memory
	readonly vcpu: number
	readonly context: InitialContext | SavedContext
	/** How far its domain's time is ahead of the hypervisor's. */
	readonly timeOffset_ns?: number
	/** Whether translated code may be taken from a cache that outlives the domain, and be kept there. */
	readonly translationCache: boolean
}

/** What comes back from it; all are called on the control half's thread. */
export interface VcpuThreadEvents {
	log(level: LogLevel, message: string): void
	emergencyConsole(bytes: Uint8Array): void
	/** The answer to a debug request (debug_report.ts). */
	report(lines: readonly string[]): void
	/** The domain's shutdown state was set by this vCPU. */
	shutdown(reason: number, crashReason?: string): void
	/** The thread is gone; `error` when a host exception killed it. Called once. */
	ended(error?: Error): void
}

export interface VcpuThread {
	/** Stops the thread wherever it is. For one that doesn't end by itself after CB_DYING. */
	terminate(): Promise<void>
}

/** A thread that is to be a vCPU, and may not be there yet. */
export interface PreparedThread {
	/** Has it be the vCPU. Once only. */
	start(request: VcpuStart, events: VcpuThreadEvents): VcpuThread
	/** It will not be started. */
	discard(): void
}

/** Makes threads for vCPUs: Node's workers, a browser's, or the caller's own thread in tests. */
export interface VcpuThreads {
	/** Begins with it while the domain is still being built: a thread takes its time. */
	prepare(domid: number, vcpu: number): PreparedThread
}
