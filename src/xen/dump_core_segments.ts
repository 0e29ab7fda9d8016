/**
 * What a core has for debuggers that know ELF and not Xen's sections: program headers, and notes with the registers, as a core of Linux has them
 * (elf(5); linux/elfcore.h, asm/user_64.h). Readers of Xen's format look at sections alone.
 *
 * The program headers lie behind those of the sections: crash takes a core with two of them close to its beginning for one of netdump or kdump;
 * where they come later than byte 192 it says so ("PHdr to far into file"; since crash 7.2.9) and looks at the sections.
 */

import { cpu_user_regs, VGCF_in_kernel, vcpu_guest_context } from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'

export const PROGRAM_HEADER_SIZE = 56
const PT_LOAD = 1
const PT_NOTE = 4
const [PF_W, PF_R] = [2, 4]
/** A guest that has given back page after page here and there has its memory in more runs; debuggers get those that come first. */
const MAX_RUNS = 4096
/** Where Linux maps all of its memory (Documentation/arch/x86/x86_64/mm.rst); paravirtual kernels do not randomize it. */
const LINUX_PAGE_OFFSET = 0xffff_8880_0000_0000n
/** __START_KERNEL_map: its image once more, from pseudo-physical address 0. */
const LINUX_KERNEL_MAP = 0xffff_ffff_8000_0000n
const LINUX_KERNEL_MAP_PAGES = (512 << 20) / PAGE_SIZE

const NT_PRSTATUS = 1
const NT_FPREGSET = 2
/** struct elf_prstatus: 336 bytes; pr_pid, 4 bytes; pr_reg is a struct user_regs_struct. */
const PRSTATUS = { size: 336, pr_pid: 32, pr_reg: 112, pr_fpvalid: 328 }
/** struct user_regs_struct is struct cpu_user_regs up to and with SS. */
const USER_REGS = { orig_rax: 120, cs: 136, ss: 160, fs_base: 168, gs_base: 176, ds: 184, es: 192, fs: 200, gs: 208 }
const SAME_REGISTERS = cpu_user_regs.at.ss
const FXSAVE_SIZE = 512
const NOTE_HEADER_SIZE = 12 + 8

/** Pages of the file that have consecutive PFNs. */
interface Run {
	readonly pfn: number
	/** Place of the first in .xen_pages. */
	readonly index: number
	readonly pages: number
}

/** The PT_NOTE's contents: registers of each vCPU of `contexts`, the first of which is the debugger's current thread. */
export function registerNotes(contexts: readonly Uint8Array[]): Uint8Array {
	const size = 2 * NOTE_HEADER_SIZE + PRSTATUS.size + FXSAVE_SIZE
	const bytes = new Uint8Array(contexts.length * size)
	for (const [vcpu, context] of contexts.entries()) {
		const at = vcpu * size
		note(bytes.subarray(at), NT_PRSTATUS, prstatus(context, vcpu))
		const { fpu_ctxt } = vcpu_guest_context.at
		note(bytes.subarray(at + NOTE_HEADER_SIZE + PRSTATUS.size), NT_FPREGSET, context.subarray(fpu_ctxt, fpu_ctxt + FXSAVE_SIZE))
	}
	return bytes
}

function note(bytes: Uint8Array, type: number, contents: Uint8Array): void {
	const view = new DataView(bytes.buffer, bytes.byteOffset)
	view.setUint32(0, 'CORE\0'.length, true)
	view.setUint32(4, contents.length, true)
	view.setUint32(8, type, true)
	new TextEncoder().encodeInto('CORE', bytes.subarray(12))
	bytes.set(contents, NOTE_HEADER_SIZE)
}

function prstatus(context: Uint8Array, vcpu: number): Uint8Array {
	const bytes = new Uint8Array(PRSTATUS.size)
	const view = new DataView(bytes.buffer)
	const from = new DataView(context.buffer, context.byteOffset, context.length)
	const regs = vcpu_guest_context.at.user_regs
	const at = PRSTATUS.pr_reg
	// Threads are told apart by it; 0 is none.
	view.setUint32(PRSTATUS.pr_pid, vcpu + 1, true)
	bytes.set(context.subarray(regs, regs + SAME_REGISTERS), at)
	// Not in a system call that could be restarted.
	view.setBigInt64(at + USER_REGS.orig_rax, -1n, true)
	for (const name of ['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const) {
		view.setBigUint64(at + USER_REGS[name], BigInt(from.getUint16(regs + cpu_user_regs.at[name], true)), true)
	}
	const { flags, fs_base, gs_base_kernel, gs_base_user } = vcpu_guest_context.at
	const gs_base = from.getUint32(flags, true) & VGCF_in_kernel ? gs_base_kernel : gs_base_user
	view.setBigUint64(at + USER_REGS.fs_base, from.getBigUint64(fs_base, true), true)
	view.setBigUint64(at + USER_REGS.gs_base, from.getBigUint64(gs_base, true), true)
	view.setUint32(PRSTATUS.pr_fpvalid, 1, true)
	return bytes
}

/** Segments of a core whose pages have these PFNs, in the order of the file, ascending. */
export class CoreSegments {
	private readonly mapped: readonly { readonly base: bigint; readonly run: Run }[]

	constructor(pfns: readonly number[]) {
		const runs = runsOf(pfns)
		const image = runs
			.filter(({ pfn }) => pfn < LINUX_KERNEL_MAP_PAGES)
			.map((run) => ({ ...run, pages: Math.min(run.pages, LINUX_KERNEL_MAP_PAGES - run.pfn) }))
		this.mapped = [...runs.map((run) => ({ base: LINUX_PAGE_OFFSET, run })), ...image.map((run) => ({ base: LINUX_KERNEL_MAP, run }))]
	}

	/** The registers', and those of memory. */
	get count(): number {
		return 1 + this.mapped.length
	}

	/** Writes the program headers at `at`; `notes` and `pages` are where the file has the registers' notes and the pages. */
	write(view: DataView, at: number, notes: { readonly offset: number; readonly size: number }, pages: number): void {
		writeNotes(view, at, notes)
		for (const [n, { base, run }] of this.mapped.entries()) writeLoad(view, at + (n + 1) * PROGRAM_HEADER_SIZE, base, run, pages)
	}
}

function runsOf(pfns: readonly number[]): Run[] {
	const runs: Run[] = []
	for (let index = 0, next = 0; index < pfns.length && runs.length < MAX_RUNS; index = next) {
		const pfn = pfns[index] as number
		for (next = index + 1; pfns[next] === pfn + next - index; ) next++
		runs.push({ pfn, index, pages: next - index })
	}
	return runs
}

function writeNotes(view: DataView, at: number, { offset, size }: { readonly offset: number; readonly size: number }): void {
	view.setUint32(at, PT_NOTE, true)
	const wide = [offset, 0, 0, size, 0, 4]
	for (const [n, value] of wide.entries()) view.setBigUint64(at + 8 + n * 8, BigInt(value), true)
}

/** Pages that Linux maps at `base` and their pseudo-physical address. */
function writeLoad(view: DataView, at: number, base: bigint, { pfn, index, pages }: Run, offset: number): void {
	view.setUint32(at, PT_LOAD, true)
	view.setUint32(at + 4, PF_R | PF_W, true)
	const bytes = (count: number) => BigInt(count * PAGE_SIZE)
	const wide = [BigInt(offset) + bytes(index), base + bytes(pfn), bytes(pfn), bytes(pages), bytes(pages), BigInt(PAGE_SIZE)]
	for (const [n, value] of wide.entries()) view.setBigUint64(at + 8 + n * 8, value, true)
}
