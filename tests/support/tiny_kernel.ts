/** Kernels of a few instructions, as files that xm can boot: they need 4 MiB and no time. */
import { XEN_ELFNOTE_ENTRY, XEN_ELFNOTE_GUEST_OS, XEN_ELFNOTE_LOADER, XEN_ELFNOTE_XEN_VERSION } from '../../src/abi/elfnote.ts'
import { SCHEDOP_block, SCHEDOP_shutdown } from '../../src/abi/sched.ts'
import { PT_LOAD, PT_NOTE } from '../../src/boot/kernel/elf.ts'
import { makeElf, makeNotes } from '../../src/boot/kernel/test_elf.ts'
import { hypercall } from '../guest/tiny_guest.ts'

const SCHED_OP = 29
const REASON_AT = 0x100

/** Sleeps for good. */
export const SLEEPER = kernel([...hypercall(SCHED_OP, SCHEDOP_block), 0xeb, -2 - hypercall(0).length])

/** Shuts down at once, with SHUTDOWN_* `reason`. */
export function ender(reason: number): Uint8Array {
	return kernel(hypercall(SCHED_OP, SCHEDOP_shutdown, REASON_AT), reason)
}

/** It is loaded and mapped at 0, and entered there. */
function kernel(code: readonly number[], reason = 0): Uint8Array {
	const data = new Uint8Array(0x1000)
	data.set(code)
	data[REASON_AT] = reason
	const notes = {
		[XEN_ELFNOTE_GUEST_OS]: 'tiny',
		[XEN_ELFNOTE_XEN_VERSION]: 'xen-3.0',
		[XEN_ELFNOTE_LOADER]: 'generic',
		[XEN_ELFNOTE_ENTRY]: 0n,
	}
	return makeElf({
		segments: [
			{ type: PT_LOAD, paddr: 0n, data },
			{ type: PT_NOTE, data: makeNotes(notes) },
		],
	})
}
