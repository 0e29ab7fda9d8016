/** Kernels of a few instructions, as files that xm can boot: they need 4 MiB and no time. */
import { XEN_ELFNOTE_ENTRY, XEN_ELFNOTE_GUEST_OS, XEN_ELFNOTE_LOADER, XEN_ELFNOTE_XEN_VERSION } from '../../src/abi/elfnote.ts'
import { SCHEDOP_block, SCHEDOP_shutdown, SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_suspend } from '../../src/abi/sched.ts'
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

/** mov rdx, rsi; shr rdx, 12; mov edi, SCHEDOP_shutdown; mov esi, REASON_AT; mov eax, SCHED_OP; syscall: with the frame of its start_info in RDX, as it is mapped at 0. */
const SUSPEND = [
	0x48,
	0x89,
	0xf2,
	0x48,
	0xc1,
	0xea,
	12,
	0xbf,
	SCHEDOP_shutdown,
	0,
	0,
	0,
	0xbe,
	0,
	1,
	0,
	0,
	0xb8,
	SCHED_OP,
	0,
	0,
	0,
	0x0f,
	0x05,
]
/** test eax, eax; jz over the next call. */
const UNLESS_0 = [0x85, 0xc0, 0x74, hypercall(0).length]

/** Suspends itself, and then powers off when it is restored, and reboots when it goes on in place. */
export const SUSPENDER = kernel(
	[
		...SUSPEND,
		...UNLESS_0,
		...hypercall(SCHED_OP, SCHEDOP_shutdown, REASON_AT + 4),
		...hypercall(SCHED_OP, SCHEDOP_shutdown, REASON_AT + 8),
	],
	SHUTDOWN_suspend,
	SHUTDOWN_reboot,
	SHUTDOWN_poweroff,
)

/** It is loaded and mapped at 0, and entered there. */
function kernel(code: readonly number[], ...reasons: readonly number[]): Uint8Array {
	const data = new Uint8Array(0x1000)
	data.set(code)
	for (const [n, reason] of reasons.entries()) data[REASON_AT + n * 4] = reason
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
