import type { Domain } from '../domain.ts'
import { PageInfo } from './page_info.ts'

/**
 * Gives frames to a domain that has none and does not run yet: frame n with PFN n. What it returns is false for a frame that is beyond the machine's, or that the domain
 * has already.
 */
export function framePopulator(domain: Domain): (mfn: number) => boolean {
	const pages = new PageInfo(domain, { flushTlb() {}, flushWriteTlb() {}, flushStale() {}, forgetRoot() {}, invalidateFrame() {} })
	return (mfn) => {
		if (mfn >= pages.ramFrames || !pages.isFree(mfn)) return false
		pages.assign(mfn)
		pages.setM2p(mfn, mfn, 0)
		return true
	}
}
