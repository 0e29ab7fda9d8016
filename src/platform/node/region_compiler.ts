import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { CompileReply, CompileRequest, RegionCompiler } from '../../x86/translator/compiler.ts'
import { type KnownRegion, KnownRegions } from '../../x86/translator/region_key.ts'
import { collectGarbage } from './collect_garbage.ts'

/** What a vCPU's thread is given to talk to the compile worker with. */
export interface CompilerConnection {
	readonly port: MessagePort
	/** i32: how many replies have been posted so far. */
	readonly posted: Int32Array<SharedArrayBuffer>
}

/** What it posts there. */
export type CompilerMessage =
	| { readonly type: 'request'; readonly request: CompileRequest }
	| { readonly type: 'hotter'; readonly id: number; readonly heat: number }
	| { readonly type: 'cancel'; readonly id: number }
	| { readonly type: 'improve'; readonly id: number; readonly worth: number }

/** What comes back. */
export type CompilerAnswer =
	| CompileReply
	/** First of all: what is in the cache. */
	| { readonly type: 'cached'; readonly regions: readonly KnownRegion[] }

/** Answers after which garbage is collected: V8 does not see how much memory outside its heap hangs on their modules and on those they replace. */
const ANSWERS_A_COLLECTION = 200

/** The compile worker as a vCPU's thread, which never turns to its event loop, sees it. */
export class WorkerCompiler implements RegionCompiler {
	private readonly connection: CompilerConnection
	private received = 0
	private uncollected = 0
	private cached: KnownRegions | undefined

	constructor(connection: CompilerConnection) {
		this.connection = connection
	}

	request(request: CompileRequest): void {
		const pages = [...request.snapshot.pages.values()]
		this.post(
			{ type: 'request', request },
			pages.map(({ bytes }) => bytes.buffer as ArrayBuffer).filter((buffer) => buffer.byteLength > 0),
		)
	}

	hotter(id: number, heat: number): void {
		this.post({ type: 'hotter', id, heat })
	}

	cancel(id: number): void {
		this.post({ type: 'cancel', id })
	}

	improve(id: number, worth: number): void {
		this.post({ type: 'improve', id, worth })
	}

	get hasCache(): boolean {
		return this.cached !== undefined
	}

	cachedIn(page: Uint8Array): readonly KnownRegion[] {
		return this.cached?.inPage(page) ?? []
	}

	receive(): CompileReply | undefined {
		while (Atomics.load(this.connection.posted, 0) !== this.received) {
			const received = receiveMessageOnPort(this.connection.port)
			if (received === undefined) return undefined
			this.received = (this.received + 1) | 0
			const message = received.message as CompilerAnswer
			if (++this.uncollected === ANSWERS_A_COLLECTION) {
				this.uncollected = 0
				collectGarbage()
			}
			if (message.type !== 'cached') return message
			this.cached = new KnownRegions(message.regions)
		}
		return undefined
	}

	private post(message: CompilerMessage, transfer: readonly ArrayBuffer[] = []): void {
		this.connection.port.postMessage(message, transfer)
	}
}
