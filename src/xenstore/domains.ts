import {
	XENSTORE_SERVER_FEATURE_DOMID_ANY,
	XENSTORE_SERVER_FEATURE_ERROR,
	XENSTORE_SERVER_FEATURE_RECONNECTION,
	XENSTORE_SERVER_FEATURE_WATCHDEPTH,
} from '../abi/io/xs_wire.ts'
import { Connection } from './connection.ts'
import type { Errno } from './errors.ts'
import { type RingChannel, RingTransport } from './ring.ts'
import type { Store } from './store.ts'

export const SUPPORTED_FEATURES =
	XENSTORE_SERVER_FEATURE_RECONNECTION |
	XENSTORE_SERVER_FEATURE_ERROR |
	XENSTORE_SERVER_FEATURE_WATCHDEPTH |
	XENSTORE_SERVER_FEATURE_DOMID_ANY

/** How the server reaches a domain that dom0 introduces: the hypervisor's side. */
export interface RingHost {
	/**
	 * Maps the domain's ring page and binds to its port; `onEvent` is to be called whenever the guest signals.
	 * Undefined when there is no such domain, frame or port.
	 */
	openRing(domid: number, mfn: number, port: number, onEvent: () => void): (RingChannel & { close?(): void }) | undefined
}

interface Domain {
	features: number
	ring: RingTransport | undefined
	closeChannel: () => void
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
	}

	/** A domain that is already introduced gets an empty ring and a new connection. EINVAL when its ring cannot be reached. */
	introduce(domid: number, mfn: number, port: number): Errno | undefined {
		const domain = this.#domain(domid)
		if (domain.ring !== undefined) {
			domain.ring.reset()
			return undefined
		}
		const channel = this.#host.openRing(domid, mfn, port, () => domain.ring?.onEvent())
		if (channel === undefined) return 'EINVAL'
		domain.closeChannel = () => channel.close?.()
		domain.ring = new RingTransport(channel, domain.features, (transport) => this.#connect(domid, transport), this.#defer)
		this.#store.domainIntroduced(domid)
		return undefined
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
		this.#domains.delete(domid)
		domain.ring?.close()
		domain.closeChannel()
		this.#store.forgetDomain(domid)
		if (domain.ring !== undefined) this.#store.domainReleased(domid)
	}

	/** The domain has shut down or crashed: @releaseDomain fires, once until it is resumed. */
	shutDown(domid: number): void {
		const domain = this.#domains.get(domid)
		if (domain?.ring === undefined || domain.shutdown) return
		domain.shutdown = true
		this.#store.domainReleased(domid)
	}

	resume(domid: number): Errno | undefined {
		const domain = this.#domains.get(domid)
		if (domain?.ring === undefined) return 'ENOENT'
		domain.shutdown = false
		return undefined
	}

	/** Gives `domid` the rights of `target` beside its own. ENOENT when either is not introduced. */
	setTarget(domid: number, target: number): Errno | undefined {
		const domain = this.#domains.get(domid)
		if (domain?.ring === undefined || !this.isIntroduced(target)) return 'ENOENT'
		domain.target = target
		const session = domain.ring.connection?.session
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
		return undefined
	}

	#domain(domid: number): Domain {
		let domain = this.#domains.get(domid)
		if (domain === undefined) {
			domain = { features: SUPPORTED_FEATURES, ring: undefined, closeChannel: () => {}, shutdown: false, target: undefined }
			this.#domains.set(domid, domain)
		}
		return domain
	}

	#connect(domid: number, transport: ConstructorParameters<typeof Connection>[3]): Connection {
		const connection = new Connection(this.#store, this, domid, transport)
		const target = this.#domains.get(domid)?.target
		if (target !== undefined) connection.session.subject = { domid, target }
		return connection
	}
}
