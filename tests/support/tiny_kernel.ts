/** Kernels of a few instructions, as files that xm can boot: they need 4 MiB and no time. */
import { XEN_ELFNOTE_ENTRY, XEN_ELFNOTE_GUEST_OS, XEN_ELFNOTE_LOADER, XEN_ELFNOTE_XEN_VERSION } from '../../src/abi/elfnote.ts'
import { SCHEDOP_block, SCHEDOP_poll, SCHEDOP_shutdown, SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_suspend } from '../../src/abi/sched.ts'
import { start_info } from '../../src/abi/start_info.ts'
import { __HYPERVISOR_update_va_mapping, arch_shared_info, shared_info } from '../../src/abi/xen.ts'
import { PT_LOAD, PT_NOTE } from '../../src/boot/kernel/elf.ts'
import { makeElf, makeNotes } from '../../src/boot/kernel/test_elf.ts'
import { hypercall, imm32 } from '../guest/tiny_guest.ts'

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

/** Where the console's page is, seen from start_info: nobody uses it. */
const SPARE_PAGE = 0x2000
const UVMF_INVLPG = 2
const POLL_AT = 0x200
const NAP_NS = 100_000_000
const SYSCALL = [0x0f, 0x05]

/** mov rax, [rbx + from]; mov [rdi + to], rax */
const copy = (from: number, to: number) => [0x48, 0x8b, 0x83, ...imm32(from), 0x48, 0x89, 0x87, ...imm32(to)]
/** lea rdi, [rbx + SPARE_PAGE] */
const SPARE = [0x48, 0x8d, 0xbb, ...imm32(SPARE_PAGE)]
/** or rsi, 7; mov edx, UVMF_INVLPG; mov eax, update_va_mapping; syscall: maps the page at RDI to the frame at RSI. */
const MAP = [0x48, 0x83, 0xce, 7, 0xba, ...imm32(UVMF_INVLPG), 0xb8, ...imm32(__HYPERVISOR_update_va_mapping), ...SYSCALL]

/** mov rbx, rsi; then, in shared_info, where its table of frames is, as Linux tells it. Frames and pages are the same here, and mapped at their numbers. */
const TELL_P2M = [
	...[0x48, 0x89, 0xf3],
	...SPARE,
	// mov rsi, [rbx + shared_info]
	...[0x48, 0x8b, 0xb3, ...imm32(start_info.at.shared_info)],
	...MAP,
	...SPARE,
	...copy(start_info.at.nr_pages, shared_info.at.arch + arch_shared_info.at.max_pfn),
	...copy(start_info.at.pt_base, shared_info.at.arch + arch_shared_info.at.p2m_cr3),
	...copy(start_info.at.mfn_list, shared_info.at.arch + arch_shared_info.at.p2m_vaddr),
	// mov rsi, rdi
	...[0x48, 0x89, 0xfe],
	...MAP,
]
/** rdtsc; shl rdx, 32; or rax, rdx; add rax, NAP_NS; mov [POLL_AT + 16], rax; mov edi, SCHEDOP_poll; mov esi, POLL_AT; mov eax, SCHED_OP; syscall */
const NAP = [
	...[0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x48, 0x05, ...imm32(NAP_NS)],
	...[0x48, 0x89, 0x04, 0x25, ...imm32(POLL_AT + 16), 0xbf, ...imm32(SCHEDOP_poll), 0xbe, ...imm32(POLL_AT)],
	...[0xb8, ...imm32(SCHED_OP), ...SYSCALL],
]
/** mov rsi, rbx */
const START_INFO = [0x48, 0x89, 0xde]

/** Suspends itself ten times a second, asked or not: it can be saved, and goes on whenever nobody wants that. */
export const NAPPER = kernel(
	[...TELL_P2M, ...NAP, ...START_INFO, ...SUSPEND, 0xeb, (-2 - NAP.length - START_INFO.length - SUSPEND.length) & 0xff],
	SHUTDOWN_suspend,
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
