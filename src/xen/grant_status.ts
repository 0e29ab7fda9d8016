/** A domain's grants in use, for debug key 'g'. */
import { grant_entry_v2_full_page } from '../abi/grant_table.ts'
import type { Domain } from './domain.ts'
import {
	ACT_DOMID,
	ACT_MFN,
	ACT_PIN,
	activeEntry,
	GT_FRAMES,
	GT_VERSION,
	grantEntries,
	grantWord,
	sharedEntry,
	statusWord,
	withGrants,
} from './grant_entries.ts'
import { MAPTRACK_ENTRIES, MAPTRACK_SIZE } from './machine_layout.ts'

const MAPTRACK_PER_FRAME = 4096 / MAPTRACK_SIZE

/** Xen's lines for one domain, without the log's prefix. */
export function describeGrants(domain: Domain): string[] {
	return withGrants(domain, () => {
		const version = grantWord(domain, GT_VERSION)
		const frames = `${grantWord(domain, GT_FRAMES)} frames (${domain.description.maxGrantFrames} max)`
		const lines = [
			'      -------- active --------       -------- shared --------',
			'[ref] localdom mfn      pin          localdom gmfn     flags',
			`grant-table for remote d${domain.domid} (v${version})`,
			`  ${frames}, ${maptrackFrames(domain)} maptrack frames (${MAPTRACK_ENTRIES / MAPTRACK_PER_FRAME} max)`,
		]
		const { u32 } = domain.machine
		const entries = grantEntries(domain)
		const headerLines = lines.length
		for (let ref = 0; ref < entries; ref++) if (u32[activeEntry(domain, ref) + ACT_PIN] !== 0) lines.push(describeGrant(domain, ref))
		if (lines.length === headerLines) lines.push('no active grant table entries')
		return lines
	})
}

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`
const domid = (value: number) => String(value).padStart(5)

function describeGrant(domain: Domain, ref: number): string {
	const { u32, u16 } = domain.machine
	const act = activeEntry(domain, ref)
	const shared = sharedEntry(domain, ref)
	const frame = u32[shared + (grantWord(domain, GT_VERSION) === 1 ? 1 : grant_entry_v2_full_page.at.frame >> 2)] as number
	const word = (field: number) => u32[act + field] as number
	const active = `${domid(word(ACT_DOMID))} ${hex(word(ACT_MFN), 5)} ${hex(word(ACT_PIN), 8)}`
	const entry = `${domid((u32[shared] as number) >>> 16)} ${hex(frame, 6)} ${hex(u16[statusWord(domain, ref)] as number, 2)}`
	return `[${hex(ref, 3)}]  ${active}      ${entry}`
}

/** Frames of the mapping table that hold a mapping. */
function maptrackFrames(domain: Domain): number {
	const { u32 } = domain.machine
	const first = domain.at(domain.layout.maptrack) >>> 2
	let last = 0
	for (let handle = 0; handle < MAPTRACK_ENTRIES; handle++) if (u32[first + (handle * MAPTRACK_SIZE) / 4] !== 0) last = handle + 1
	return Math.ceil(last / MAPTRACK_PER_FRAME)
}
