import {
	XENSTORE_RING_SIZE,
	XENSTORE_SERVER_FEATURE_DOMID_ANY,
	XENSTORE_SERVER_FEATURE_ERROR,
	XENSTORE_SERVER_FEATURE_RECONNECTION,
	XENSTORE_SERVER_FEATURE_WATCHDEPTH,
} from '../abi/io/xs_wire.ts'
import { Connection } from './connection.ts'
import type { Errno } from './errors.ts'
import type { StoreRecord } from './journal.ts'
import type { RingEvents, RingStream } from './ring.ts'
import type { Store } from './store.ts'
import { StreamTransport } from './stream.ts'

export const SUPPORTED_FEATURES =
	XENSTORE_SERVER_FEATURE_RECONNECTION |
	XENSTORE_SERVER_FEATURE_ERROR |
	XENSTORE_SERVER_FEATURE_WATCHDEPTH |
	XENSTORE_SERVER_FEATURE_DOMID_ANY

/** How the server reaches a domain that dom0 introduces: the hypervisor's side. */
export interface RingHost {
	/**
	 * Maps the domain's ring page and binds to its port; nothing is called before this returns. Undefined when it is known at once that
	 * there is no such domain, frame or port; where that is not known, the stream closes later.
	 */
	openRing(request: RingRequest, events: RingEvents): RingStream | undefined
}

export interface RingRequest {
	readonly domid: number
	readonly mfn: number
	readonly port: number
	/** What the ring page is to offer: XENSTORE_SERVER_FEATURE_*. */
	readonly features: number
}

interface Domain {
	features: number
	/** What it was introduced with. */
	mfn: number
	port: number
	/** Its ring, once it is introduced. */
	ring: RingStream | undefined
	/** The conversation over the ring; undefined after the guest has broken it. */
	transport: StreamTransport | undefined
	/** @releaseDomain has told of its shutdown. */
	shutdown: boolean
	target: number | undefined
}

/** The domains that the server talks to over rings. */
export class Domains {
	readonly #store: Store
	readonly #host: RingHost
	readonly #defer: (task: () => void) => void
	readonly #domains = new Map<number, Domain>()

	constructor(store: Store, host: RingHost, defer: (task: () => void) => void) {
		this.#store = store
		this.#host = host
		this.#defer = defer
		store.precedence.onRelease(() => {
			for (const { transport } of this.#domains.values()) if (transport !== undefined) defer(() => transport.wake())
		})
	}

	/** A domain that is already introduced gets an empty ring and a new connection. EINVAL when its ring cannot be reached. */
	introduce(domid: number, mfn: number, port: number): Errno | undefined {
		const domain = this.#domain(domid)
		if (domain.ring !== undefined) {
			this.#converse(domid, domain)
			domain.ring.reset()
			return undefined
		}
		domain.ring = this.#openRing(domid, mfn, port, domain)
		if (domain.ring === undefined) return 'EINVAL'
		domain.mfn = mfn
		domain.port = port
		this.#record(domid)
		this.#converse(domid, domain)
		this.#store.domainIntroduced(domid)
		return undefined
	}

	#openRing(domid: number, mfn: number, port: number, domain: Domain): RingStream | undefined {
		return this.#host.openRing(
			{ domid, mfn, port, features: domain.features },
			{
				onData: (bytes) => domain.transport?.onData(bytes),
				onWritable: () => domain.transport?.onWritable(),
				onReset: () => this.#converse(domid, domain),
				onClose: () => this.#hangUp(domain),
				onResume: (request) => {
					if (domain.transport !== undefined) domain.transport.connection.session.request = request
				},
			},
		)
	}

	/** Applies a record of the server before. */
	restore(record: Extract<StoreRecord, { readonly kind: 'domain' | 'gone' }>): void {
		const { domid } = record
		if (record.kind === 'gone') {
			this.#domains.delete(domid)
			return
		}
		const domain = this.#domain(domid)
		domain.features = record.features
		domain.shutdown = record.shutdown
		domain.target = record.target
		domain.mfn = record.mfn ?? 0
		domain.port = record.port ?? 0
	}

	/** Goes on with the conversations of the server before. `ended` says which domains have shut down or are gone meanwhile. */
	reattach(ended: ReadonlyMap<number, 'shut down' | 'gone'> = new Map()): void {
		for (const [domid, domain] of [...this.#domains]) {
			if (domain.port === 0) continue
			domain.ring = this.#openRing(domid, domain.mfn, domain.port, domain)
			if (domain.ring === undefined || ended.get(domid) === 'gone') {
				domain.ring?.release()
				this.#forget(domid, domain)
				this.#store.domainReleased(domid)
				continue
			}
			this.#connectRing(domid, domain)
			const session = domain.transport?.connection.session
			if (session !== undefined) this.#store.fireWatches(session)
			if (ended.get(domid) === 'shut down') this.shutDown(domid)
		}
	}

	/** The domains with a ring, or that had one with the server before. */
	get introduced(): readonly number[] {
		return [...this.#domains].filter(([, { port }]) => port !== 0).map(([domid]) => domid)
	}

	/** Serves no guest any more: another server will. */
	freeze(): void {
		for (const { transport } of this.#domains.values()) transport?.freeze()
	}

	*snapshot(): Generator<StoreRecord> {
		for (const [domid, domain] of this.#domains) yield recordOf(domid, domain)
	}

	#record(domid: number): void {
		this.#store.record(recordOf(domid, this.#domain(domid)))
	}

	#forget(domid: number, domain: Domain): void {
		this.#domains.delete(domid)
		this.#hangUp(domain)
		this.#store.forgetDomain(domid)
		this.#store.record({ kind: 'gone', domid })
	}

	isIntroduced(domid: number): boolean {
		return domid === 0 || this.#domains.get(domid)?.ring !== undefined
	}

	/** Ends the conversation, removes what the domain owns and fires @releaseDomain. ENOENT when it is not introduced. */
	release(domid: number): Errno | undefined {
		if (this.#domains.get(domid)?.ring === undefined) return 'ENOENT'
		this.gone(domid)
		return undefined
	}

	/** The domain does not exist any more. */
	gone(domid: number): void {
		const domain = this.#domains.get(domid)
		if (domain === undefined) return
		this.#forget(domid, domain)
		domain.ring?.release()
		if (domain.ring !== undefined) this.#store.domainReleased(domid)
	}

	/** The domain has shut down or crashed: @releaseDomain fires, once until it is resumed. */
	shutDown(domid: number): void {
		const domain = this.#domains.get(domid)
		if (domain?.ring === undefined || domain.shutdown) return
		domain.shutdown = true
		this.#record(domid)
		this.#store.domainReleased(domid)
	}

	resume(domid: number): Errno | undefined {
		const domain = this.#domains.get(domid)
		if (domain?.ring === undefined) return 'ENOENT'
		domain.shutdown = false
		this.#record(domid)
		return undefined
	}

	/** Gives `domid` the rights of `target` beside its own. ENOENT when either is not introduced. */
	setTarget(domid: number, target: number): Errno | undefined {
		const domain = this.#domains.get(domid)
		if (domain?.ring === undefined || !this.isIntroduced(target)) return 'ENOENT'
		domain.target = target
		this.#record(domid)
		const session = domain.transport?.connection.session
		if (session !== undefined) session.subject = { domid, target }
		return undefined
	}

	features(domid: number): number {
		return this.#domains.get(domid)?.features ?? SUPPORTED_FEATURES
	}

	/** EBUSY once the domain is introduced, EINVAL for bits that are not supported. */
	setFeatures(domid: number, features: number): Errno | undefined {
		if (this.isIntroduced(domid)) return 'EBUSY'
		if ((features & ~SUPPORTED_FEATURES) !== 0) return 'EINVAL'
		this.#domain(domid).features = features
		this.#record(domid)
		return undefined
	}

	#domain(domid: number): Domain {
		let domain = this.#domains.get(domid)
		if (domain === undefined) {
			domain = { features: SUPPORTED_FEATURES, ring: undefined, transport: undefined, mfn: 0, port: 0, shutdown: false, target: undefined }
			this.#domains.set(domid, domain)
		}
		return domain
	}

	/** Starts the conversation over the ring anew. */
	#converse(domid: number, domain: Domain): void {
		this.#hangUp(domain)
		if (domain.ring === undefined) return
		this.#store.startConversation(domid)
		this.#connectRing(domid, domain)
	}

	#connectRing(domid: number, domain: Domain): void {
		if (domain.ring === undefined) return
		domain.transport = new StreamTransport(domain.ring, (transport) => this.#connect(domid, transport), this.#defer, XENSTORE_RING_SIZE)
	}

	#hangUp(domain: Domain): void {
		domain.transport?.onClose()
		domain.transport = undefined
	}

	#connect(domid: number, transport: ConstructorParameters<typeof Connection>[3]): Connection {
		const connection = new Connection(this.#store, this, domid, transport, true)
		const target = this.#domains.get(domid)?.target
		if (target !== undefined) connection.session.subject = { domid, target }
		return connection
	}
}

function recordOf(domid: number, { features, mfn, port, shutdown, target }: Domain): StoreRecord {
	const introduced = port === 0 ? {} : { mfn, port }
	return { kind: 'domain', domid, ...introduced, features, shutdown, ...(target === undefined ? {} : { target }) }
}
