import { ext_vcpucontext } from '../abi/domctl.ts'
import {
	cpu_user_regs,
	trap_info,
	VGCF_failsafe_disables_events,
	VGCF_i387_valid,
	VGCF_in_kernel,
	VGCF_online,
	VGCF_syscall_disables_events,
	vcpu_guest_context,
	vcpu_info,
} from '../abi/xen.ts'
import {
	CPU_CR0,
	CPU_CR3_KERNEL,
	CPU_CR3_USER,
	CPU_CR4,
	CPU_DR,
	CPU_FCW,
	CPU_FDP,
	CPU_FIP,
	CPU_FOP,
	CPU_FSW,
	CPU_FTW,
	CPU_GDT_FRAMES,
	CPU_GDT_LIMIT,
	CPU_KERNEL_GS_BASE,
	CPU_LDT_BASE,
	CPU_LDT_LIMIT,
	CPU_MXCSR,
	CPU_X87,
	CPU_XMM,
	SLOT_FS_BASE,
	SLOT_GS_BASE,
} from '../x86/core/layout.ts'
import { R8, R9, R10, R11, R12, R13, R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from '../x86/cpu.ts'
import { PAGE_SHIFT } from '../x86/machine_memory.ts'
import { CB_MM_M2P_STRICT } from './mm/page_info.ts'
import { CS, DS, ES, FS, GS, SS } from './segments.ts'
import type { VcpuContext } from './vcpu.ts'
import { CB_VM_ASSIST, controlWord } from './vcpu_shared.ts'

export const GENERAL = { r15: R15, r14: R14, r13: R13, r12: R12, rbp: RBP, rbx: RBX, r11: R11, r10: R10, r9: R9, r8: R8 }
export const LEGACY = { rax: RAX, rcx: RCX, rdx: RDX, rsi: RSI, rdi: RDI, rsp: RSP }
const SELECTORS = { cs: CS, ss: SS, es: ES, ds: DS, fs: FS, gs: GS }
const MXCSR_MASK = 0xffff
/** Machine check banks: msr.ts. */
const MCG_CAP = 2

/** struct vcpu_guest_context as XEN_DOMCTL_getvcpucontext gives it. The vCPU's own thread only. */
export function captureContext(vcpu: VcpuContext): Uint8Array {
	const bytes = new Uint8Array(vcpu_guest_context.size)
	const view = new DataView(bytes.buffer)
	const { cpu, traps, kernelMode } = vcpu
	const at = vcpu_guest_context.at
	const wide = (offset: number, value: number) => setWide(view, offset, value)
	captureFpu(vcpu, bytes.subarray(at.fpu_ctxt, at.fpu_ctxt + 512))
	const masking =
		(traps.failsafe.masksEvents ? VGCF_failsafe_disables_events : 0) | (traps.syscall.masksEvents ? VGCF_syscall_disables_events : 0)
	wide(at.flags, VGCF_i387_valid | VGCF_online | (kernelMode ? VGCF_in_kernel : 0) | masking)
	captureRegisters(vcpu, view)
	for (const [vector, { address, cs, dpl, masksEvents }] of traps.gates.entries()) {
		const entry = at.trap_ctxt + vector * trap_info.size
		view.setUint8(entry + trap_info.at.vector, vector)
		view.setUint8(entry + trap_info.at.flags, dpl | (masksEvents ? 4 : 0))
		view.setUint16(entry + trap_info.at.cs, cs, true)
		wide(entry + trap_info.at.address, address)
	}
	const ldtLimit = cpu.field(CPU_LDT_LIMIT)
	wide(at.ldt_base, ldtLimit === 0 ? 0 : cpu.wide(CPU_LDT_BASE))
	wide(at.ldt_ents, ldtLimit === 0 ? 0 : (ldtLimit + 1) / 8)
	captureGdt(vcpu, view)
	wide(at.kernel_ss, traps.kernelSs)
	wide(at.kernel_sp, traps.kernelSp)
	wide(at.ctrlreg, cpu.field(CPU_CR0))
	wide(at.ctrlreg + 1 * 8, cpu.field(CPU_CR3_USER) * 4096)
	wide(at.ctrlreg + 3 * 8, cpu.field(CPU_CR3_KERNEL) * 4096)
	wide(at.ctrlreg + 4 * 8, cpu.field(CPU_CR4))
	const { i32, u32 } = vcpu.domain.machine
	const cr2 = (vcpu.vcpuInfo + vcpu_info.at.arch) >>> 2
	wide(at.ctrlreg + 2 * 8, (i32[cr2 + 1] as number) * 4294967296 + (u32[cr2] as number))
	for (let n = 0; n < 4; n++) wide(at.debugreg + n * 8, cpu.wide(CPU_DR + n * 8))
	for (const n of [6, 7]) wide(at.debugreg + n * 8, cpu.wide(CPU_DR + (n - 2) * 8))
	wide(at.event_callback_eip, traps.event.address)
	wide(at.failsafe_callback_eip, traps.failsafe.address)
	wide(at.syscall_callback_eip, traps.syscall.address)
	view.setUint32(at.vm_assist, Atomics.load(u32, controlWord(vcpu.domain, CB_VM_ASSIST)), true)
	view.setUint32(at.vm_assist + 4, Atomics.load(u32, controlWord(vcpu.domain, CB_MM_M2P_STRICT)), true)
	wide(at.fs_base, cpu.wide(SLOT_FS_BASE))
	// The base in use, and the one that the other mode will use.
	wide(kernelMode ? at.gs_base_kernel : at.gs_base_user, cpu.wide(SLOT_GS_BASE))
	wide(kernelMode ? at.gs_base_user : at.gs_base_kernel, cpu.wide(CPU_KERNEL_GS_BASE))
	return bytes
}

/** struct xen_domctl_ext_vcpucontext, for vCPU 0. The vCPU's own thread only. */
export function captureExtendedContext({ traps, index }: VcpuContext): Uint8Array {
	const bytes = new Uint8Array(ext_vcpucontext.size)
	const view = new DataView(bytes.buffer)
	const at = ext_vcpucontext.at
	view.setUint32(at.vcpu, index, true)
	view.setUint32(at.size, ext_vcpucontext.size, true)
	setWide(view, at.syscall32_callback_eip, traps.syscall32.address)
	setWide(view, at.sysenter_callback_eip, traps.sysenter.address)
	view.setUint8(at.syscall32_disables_events, traps.syscall32.masksEvents ? 1 : 0)
	view.setUint8(at.sysenter_disables_events, traps.sysenter.masksEvents ? 1 : 0)
	setWide(view, at.mcg_cap, MCG_CAP)
	return bytes
}

function captureRegisters({ cpu, domain, traps, vcpuInfo }: VcpuContext, view: DataView): void {
	const base = vcpu_guest_context.at.user_regs
	const at = cpu_user_regs.at
	for (const [name, register] of Object.entries({ ...GENERAL, ...LEGACY })) {
		view.setBigUint64(base + at[name as keyof typeof at], cpu.getBig(register), true)
	}
	for (const [name, register] of Object.entries(SELECTORS)) view.setUint16(base + at[name as keyof typeof at], cpu.selector(register), true)
	setWide(view, base + at.rip, cpu.rip)
	setWide(view, base + at.rflags, cpu.rflags | traps.iopl)
	view.setUint8(base + at.saved_upcall_mask, domain.machine.u8[vcpuInfo + vcpu_info.at.evtchn_upcall_mask] as number)
}

/** The GDT's frames by number, from where they lie in the machine. */
function captureGdt({ cpu }: VcpuContext, view: DataView): void {
	const { machine } = cpu
	let entries = 0
	for (let n = 0; n < 14; n++) {
		const address = cpu.field(CPU_GDT_FRAMES + n * 4)
		if (address === 0) continue
		setWide(view, vcpu_guest_context.at.gdt_frames + n * 8, (address - machine.frameBase) >>> PAGE_SHIFT)
		entries = (n + 1) * 512
	}
	setWide(view, vcpu_guest_context.at.gdt_ents, Math.min(entries, (cpu.field(CPU_GDT_LIMIT) + 1) / 8))
}

/** FXSAVE's 64-bit form. */
function captureFpu({ cpu }: VcpuContext, area: Uint8Array): void {
	const { u8, u16, u32 } = cpu.machine
	const { state } = cpu
	const view = new DataView(area.buffer, area.byteOffset, area.length)
	const status = u16[(state + CPU_FSW) >>> 1] as number
	view.setUint16(0, u16[(state + CPU_FCW) >>> 1] as number, true)
	view.setUint16(2, status, true)
	view.setUint8(4, u8[state + CPU_FTW] as number)
	view.setUint16(6, u16[(state + CPU_FOP) >>> 1] as number, true)
	setWide(view, 8, cpu.wide(CPU_FIP))
	setWide(view, 16, cpu.wide(CPU_FDP))
	view.setUint32(24, u32[(state + CPU_MXCSR) >>> 2] as number, true)
	view.setUint32(28, MXCSR_MASK, true)
	const top = (status >>> 11) & 7
	for (let n = 0; n < 8; n++) {
		const register = state + CPU_X87 + ((top + n) & 7) * 16
		area.set(u8.subarray(register, register + 10), 32 + n * 16)
	}
	area.set(u8.subarray(state + CPU_XMM, state + CPU_XMM + 256), 160)
}

/** Stores a signed number, sign-extended to 64 bits. */
function setWide(view: DataView, offset: number, value: number): void {
	view.setUint32(offset, value % 4294967296, true)
	view.setInt32(offset + 4, Math.floor(value / 4294967296), true)
}
