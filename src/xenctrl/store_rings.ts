import { GNTTAB_RESERVED_XENSTORE } from '../abi/grant_table.ts'
import { mapGrant, unmapGrant } from '../xen/grant_backend.ts'
import type { RingHost } from '../xenstore/domains.ts'
import type { LocalXen } from './local_xen.ts'

/** xenstored's way to the guests' rings: the page that the builder has granted it, whatever frame the introduction names. */
export function storeRings(xen: LocalXen): RingHost {
	return {
		openRing(domid, _mfn, port, onEvent) {
			const control = xen.control(domid)
			if (control === undefined) return undefined
			const ring = mapGrant(control.domain, GNTTAB_RESERVED_XENSTORE, false)
			if (typeof ring === 'number') return undefined
			const bound = control.bindPort(port, onEvent)
			if (bound === undefined) {
				unmapGrant(control.domain, ring)
				return undefined
			}
			const close = () => {
				bound.close()
				unmapGrant(control.domain, ring)
			}
			return { page: control.domain.machine.framePage(ring.mfn), notify: () => bound.notify(), close }
		},
	}
}
