import { Connection } from './connection.ts'
import { Domains, type RingHost } from './domains.ts'
import type { StoreRecord } from './journal.ts'
import { Store } from './store.ts'
import { type ByteStream, StreamTransport } from './stream.ts'

export interface ServerOptions {
	/** How domains are reached when dom0 introduces them. Without it XS_INTRODUCE answers EINVAL. */
	readonly ringHost?: RingHost
	/** Runs a task in a later turn of the event loop. */
	readonly defer?: (task: () => void) => void
}

/** The XenStore daemon: one store, served to domains over rings and to programs in dom0 over byte streams. */
export class XenstoreServer {
	readonly store = new Store()
	/** Tells of domains that shut down or are gone; introduces them. */
	readonly domains: Domains
	readonly #defer: (task: () => void) => void

	constructor(options: ServerOptions = {}) {
		this.#defer = options.defer ?? ((task) => void setTimeout(task, 0))
		this.domains = new Domains(this.store, options.ringHost ?? { openRing: () => undefined }, this.#defer)
	}

	/** Takes over what the server before has written down, before anything is served. Throws when it can't be; this one is of no use then. */
	restore(records: Iterable<StoreRecord>): void {
		for (const record of records) {
			if (record.kind === 'domain' || record.kind === 'gone') this.domains.restore(record)
			else this.store.restore(record)
		}
	}

	/** Records that give this server to restore(). */
	*snapshot(): Generator<StoreRecord> {
		yield* this.store.snapshot()
		yield* this.domains.snapshot()
	}

	/** Serves a client on a byte stream with the rights of `domid`. The caller feeds the transport that it gets. */
	accept(stream: ByteStream, domid = 0): StreamTransport {
		return new StreamTransport(stream, (transport) => new Connection(this.store, this.domains, domid, transport), this.#defer)
	}
}
