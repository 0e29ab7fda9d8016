/** HYPERVISOR_mmu_update: checked writes to page tables, by machine address, and to the machine-to-physical table. */
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from '../../abi/errno.ts'
import {
	__HYPERVISOR_mmu_update,
	MMU_MACHPHYS_UPDATE,
	MMU_NORMAL_PT_UPDATE,
	MMU_PT_UPDATE_NO_TRANSLATE,
	MMU_PT_UPDATE_PRESERVE_AD,
	mmu_update,
} from '../../abi/xen.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from '../hypercall_args.ts'
import { HYPERCALL_PREEMPTED, type HypercallRow } from '../hypercall_row.ts'
import type { VcpuContext } from '../vcpu.ts'
import { FOREIGN_IO, hex64, type MmState } from './mm_state.ts'
import { modEntry } from './mod_entry.ts'
import { TYPE_L4, TYPE_NONE, TYPE_WRITABLE } from './page_info.ts'
import type { PageTypes } from './page_types.ts'

/** Bit of a batched hypercall's count: this is its continuation, and *pdone holds what was done before (Xen's MMU_UPDATE_PREEMPTED). */
export const BATCH_CONTINUED = 0x8000_0000

/** A hypercall that serves a list of requests. */
export interface Batch {
	readonly name: string
	/** Bytes of a request. */
	readonly requestSize: number
	/** Requests between two looks at whether other work waits. */
	readonly requestsPerCheck: number
	/** Serves the request in mm.request; 0 or a negative errno. */
	serve(vcpu: VcpuContext, mm: MmState): number
}

/**
 * The form that mmu_update and mmuext_op share: args (requests, count, *done, ...). Stops at the first request that fails, and
 * stores the number of those that succeeded in *done when `done` is not null. When other work waits, the rest is left to a continuation.
 */
export function serveBatch(vcpu: VcpuContext, args: HypercallArgs, batch: Batch): number {
	const { requestSize } = batch
	const { mm } = vcpu
	const requests = argNumber(args, 0)
	const pdone = argNumber(args, 2)
	let count = argU32(args, 1)
	let before = 0
	if (count & BATCH_CONTINUED) {
		count &= ~BATCH_CONTINUED
		if (pdone !== 0 && mm.fetch(pdone, 4)) before = mm.request[0]
	}
	if (!mm.isGuestArray(requests, count, requestSize)) return -XEN_EFAULT

	let rc = 0
	let done = 0
	while (done < count) {
		if (done !== 0 && done % batch.requestsPerCheck === 0 && vcpu.preemptPending()) {
			continueAt(args, requests + done * requestSize, count - done)
			rc = HYPERCALL_PREEMPTED
			break
		}
		rc = mm.fetch(requests + done * requestSize, requestSize) ? batch.serve(vcpu, mm) : -XEN_EFAULT
		if (rc !== 0) {
			logRequest(mm, batch, done, rc)
			break
		}
		done++
	}
	mm.types.settle()
	if (pdone !== 0) mm.storeU32(pdone, before + done)
	return rc
}

function logRequest(mm: MmState, batch: Batch, index: number, rc: number): void {
	const words: string[] = []
	for (let n = 0; n < batch.requestSize / 4; n += 2) words.push(hex64(mm.request[n], mm.request[n + 1]))
	mm.logRefusal(`${batch.name} request ${index} (${words.join(', ')})`, rc)
}

function continueAt(args: HypercallArgs, requests: number, left: number): void {
	setArg(args, 0, requests)
	args[2] = left | BATCH_CONTINUED
}

function mmuUpdate(vcpu: VcpuContext, args: HypercallArgs): number {
	const foreigndom = argU32(args, 3)
	// The upper half names the owner of the page tables, plus one; 0 is the caller.
	const tableOwner = foreigndom >>> 16 === 0 ? 0 : vcpu.mm.tableOwner((foreigndom >>> 16) - 1)
	if (tableOwner < 0) return tableOwner
	const owner = vcpu.mm.foreign(foreigndom & 0xffff)
	if (owner < 0) return owner
	return serveBatch(vcpu, args, owner === FOREIGN_IO ? IO_UPDATES : UPDATES)
}

const UPDATES: Batch = {
	name: 'mmu_update',
	requestSize: mmu_update.size,
	requestsPerCheck: 32,
	serve: (_, mm) => serve(mm, false),
}
const IO_UPDATES: Batch = { ...UPDATES, serve: (_, mm) => serve(mm, true) }

function serve(mm: MmState, ioOnly: boolean): number {
	const { request, types } = mm
	const ptrLo = request[0]
	const ptrHi = request[1]
	const mfn = types.frame(((ptrHi << 20) | (ptrLo >>> 12)) >>> 0, ptrHi >>> 12)
	switch (ptrLo & 7) {
		case MMU_NORMAL_PT_UPDATE:
		case MMU_PT_UPDATE_NO_TRANSLATE:
			return updateEntry(types, mfn, ptrLo, request[2], request[3], false, ioOnly)
		case MMU_PT_UPDATE_PRESERVE_AD:
			return updateEntry(types, mfn, ptrLo, request[2], request[3], true, ioOnly)
		case MMU_MACHPHYS_UPDATE:
			if (ioOnly || !types.isOwned(mfn)) return -XEN_EINVAL
			types.setM2p(mfn, request[2], request[3])
			return 0
		default:
			return -XEN_ENOSYS
	}
}

/** Writes an entry by what its frame is: a page table is checked, memory is written as it is, a descriptor page refused. */
function updateEntry(types: PageTypes, mfn: number, ptrLo: number, lo: number, hi: number, preserveAd: boolean, ioOnly: boolean): number {
	if (!types.isOwned(mfn)) return -XEN_EINVAL
	const at = types.words(mfn) + ((ptrLo & 0xff8) >>> 2)
	const type = types.isInUse(mfn) ? types.type(mfn) : TYPE_NONE
	if (type !== TYPE_NONE && type <= TYPE_L4) return modEntry(types, type, mfn, at, lo, hi, preserveAd, ioOnly)
	if (types.getType(mfn, TYPE_WRITABLE) !== 0) return -XEN_EINVAL
	types.u32[at] = lo
	types.u32[at + 1] = hi
	types.written(mfn)
	types.putType(mfn)
	return 0
}

export const mmuUpdateHypercall: HypercallRow = {
	number: __HYPERVISOR_mmu_update,
	name: 'mmu_update',
	source: 'xen.h: HYPERVISOR_mmu_update',
	status: 'implemented',
	handler: mmuUpdate,
	subops: {
		[MMU_NORMAL_PT_UPDATE]: { name: 'MMU_NORMAL_PT_UPDATE', status: 'implemented' },
		[MMU_MACHPHYS_UPDATE]: { name: 'MMU_MACHPHYS_UPDATE', status: 'implemented' },
		[MMU_PT_UPDATE_PRESERVE_AD]: { name: 'MMU_PT_UPDATE_PRESERVE_AD', status: 'implemented' },
		[MMU_PT_UPDATE_NO_TRANSLATE]: { name: 'MMU_PT_UPDATE_NO_TRANSLATE', status: 'implemented' },
	},
}
