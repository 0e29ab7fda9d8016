import { GNTTAB_RESERVED_XENSTORE } from '../abi/grant_table.ts'
import { mapGrant, unmapGrant } from '../xen/grant_backend.ts'
import type { RingHost, RingRequest } from '../xenstore/domains.ts'
import { GuestRing, type RingEvents, type RingStream } from '../xenstore/ring.ts'
import type { LocalXen } from './local_xen.ts'

/** How rings are opened: also where another server left off. */
export interface StoreRings extends RingHost {
	openRing(request: RingRequest & { readonly resume?: boolean }, events: RingEvents): RingStream | undefined
}

/** xenstored's way to the guests' rings: the page that the builder has granted it, whatever frame the introduction names. */
export function storeRings(xen: LocalXen, defer: (task: () => void) => void = (task) => void setTimeout(task, 0)): StoreRings {
	return {
		openRing({ domid, port, features, resume = false }, events) {
			const control = xen.control(domid)
			if (control === undefined) return undefined
			const page = mapGrant(control.domain, GNTTAB_RESERVED_XENSTORE, false)
			if (typeof page === 'number') return undefined
			const bound = control.bindPort(port, () => ring.onEvent())
			if (bound === undefined) {
				unmapGrant(control.domain, page)
				return undefined
			}
			const channel = { page: control.domain.machine.framePage(page.mfn), notify: () => bound.notify() }
			const onRelease = () => {
				bound.close()
				unmapGrant(control.domain, page)
			}
			const ring = new GuestRing({ channel, features, events, defer, resume, onRelease })
			return ring
		},
	}
}
