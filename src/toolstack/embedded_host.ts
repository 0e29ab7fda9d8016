import type { Hypervisor } from '../xen/hypervisor.ts'
import type { ReadImage } from '../xenctrl/guest_builder.ts'
import { LocalXen, type LocalXenOptions } from '../xenctrl/local_xen.ts'
import { storeRings } from '../xenctrl/store_rings.ts'
import { connectInProcess } from '../xenstore/client.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import type { Host } from './domain_steps.ts'

export interface EmbeddedHost extends Host {
	readonly xen: LocalXen
	/** For further clients. */
	readonly server: XenstoreServer
}

/** Hypervisor and xenstored in the toolstack's own process: for a library, and where there are no processes. Without `files`, no domain is saved and no core written. */
export function embeddedHost(
	hypervisor: Hypervisor,
	readImage: ReadImage,
	files: Pick<LocalXenOptions, 'createFile' | 'openFile'> = {},
): EmbeddedHost {
	const bootId = crypto.randomUUID()
	const xen = new LocalXen({ hypervisor, readImage, bootId, ...files })
	const server = new XenstoreServer({ ringHost: storeRings(xen) })
	xen.onEvent(({ type, domid }) => (type === 'shutdown' ? server.domains.shutDown(domid) : server.domains.gone(domid)))
	return { xen, server, store: connectInProcess(server), bootId }
}
