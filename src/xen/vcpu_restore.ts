/**
 * A vCPU's state from a saved domain. Nothing in it is believed: page tables are validated by the rules of mm/page_info.ts, as if the guest had asked for each pin, and
 * registers are fitted or refused as XEN_DOMCTL_setvcpucontext does with them. What is refused crashes the domain before its first instruction.
 */
import { ext_vcpucontext } from '../abi/domctl.ts'
import {
	cpu_user_regs,
	FLAT_KERNEL_SS,
	FLAT_RING3_CS64,
	FLAT_RING3_SS64,
	trap_info,
	VGCF_failsafe_disables_events,
	VGCF_in_kernel,
	VGCF_syscall_disables_events,
	VMASST_TYPE_architectural_iopl,
	VMASST_TYPE_pae_extended_cr3,
	VMASST_TYPE_runstate_update_flag,
	VMASST_TYPE_writable_pagetables,
	vcpu_guest_context,
	vcpu_info,
} from '../abi/xen.ts'
import {
	CPU_CR0,
	CPU_CR4,
	CPU_FCW,
	CPU_FDP,
	CPU_FIP,
	CPU_FOP,
	CPU_FSW,
	CPU_FTW,
	CPU_KERNEL_GS_BASE,
	CPU_MXCSR,
	CPU_X87,
	CPU_XMM,
	SLOT_FS_BASE,
	SLOT_GS_BASE,
} from '../x86/core/layout.ts'
import { RSP } from '../x86/cpu.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { EFLAGS_IF, EFLAGS_IOPL, EFLAGS_VM, setFlatCode, setFlatStack } from './bounce.ts'
import { writeDebugRegister } from './debug_registers.ts'
import { CR4_GUEST_MASK, GUEST_CR0, GUEST_CR4 } from './emulate_privileged.ts'
import { isCanonical } from './guest_access.ts'
import { GENERAL, LEGACY } from './guest_context.ts'
import { setGdt, setLdt } from './mm/descriptors.ts'
import { CB_MM_M2P_STRICT, PAGE_PINNED, PI_TYPE, TYPE_L1, TYPE_L4 } from './mm/page_info.ts'
import { DS, ES, FS, GS, SS } from './segments.ts'
import { updateTime } from './time.ts'
import { setTaskSwitched } from './traps.ts'
import type { VcpuContext } from './vcpu.ts'
import { CB_VM_ASSIST, controlWord, VS_ONLINE, vcpuWord } from './vcpu_shared.ts'
import { holdForIopl } from './vm_assist.ts'

/** A saved vCPU, and what its domain needs besides before it can run. Plain data; frames are numbers of this machine. */
export interface SavedContext {
	/** struct vcpu_guest_context. In ctrlreg[1], 0 stands for no user page tables. */
	readonly basic: Uint8Array
	/** struct xen_domctl_ext_vcpucontext. */
	readonly extended: Uint8Array | undefined
	/** Pinned page tables: frame and level, in turn. */
	readonly pins: Uint32Array
}

const RFLAGS_KEPT = 0x0027_4dd5 & ~(EFLAGS_IF | EFLAGS_VM | EFLAGS_IOPL)
const RFLAGS_FIXED = 2
const CR0_TS = 8
const MXCSR_MASK = 0xffff
const FCW_WRITABLE = 0x1f7f
const FCW_FIXED = 0x40
const FSW_EXCEPTIONS = 0x3f
/** ES and B. */
const FSW_SUMMARY = 0x8080
const GDT_PAGES = 14
const VM_ASSISTS = [
	VMASST_TYPE_writable_pagetables,
	VMASST_TYPE_pae_extended_cr3,
	VMASST_TYPE_architectural_iopl,
	VMASST_TYPE_runstate_update_flag,
]

/** Puts a fresh vCPU into the saved state. Crashes the domain when that breaks a rule. */
export function restoreVcpu(vcpu: VcpuContext, saved: SavedContext): void {
	const context = new Context(vcpu, saved.basic)
	vcpu.cpu.setKernelMode(true)
	restoreAssists(vcpu, context)
	pinTables(vcpu, saved.pins)
	restoreDescriptors(vcpu, context)
	restoreTraps(vcpu, context)
	if (saved.extended !== undefined) restoreExtended(vcpu, new Context(vcpu, saved.extended))
	restoreControl(vcpu, context)
	restoreRegisters(vcpu, context)
	restoreFpu(vcpu, saved.basic.subarray(0, 512))
	updateTime(vcpu)
	const online = vcpuWord(vcpu.domain, vcpu.index, VS_ONLINE)
	Atomics.store(vcpu.domain.machine.u32, online, 1)
	Atomics.notify(vcpu.domain.machine.i32, online)
}

const at = vcpu_guest_context.at

/** Reading of a structure whose values may be anything. */
class Context {
	readonly view: DataView
	private readonly vcpu: VcpuContext

	constructor(vcpu: VcpuContext, bytes: Uint8Array) {
		this.vcpu = vcpu
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
	}

	u64(offset: number): bigint {
		return this.view.getBigUint64(offset, true)
	}

	/** A linear address; crashes the domain when it is not canonical. */
	address(offset: number, what: string): number {
		const value = Number(this.view.getBigInt64(offset, true))
		return isCanonical(value) ? value : this.refuse(`${what} 0x${this.u64(offset).toString(16)} is no address`)
	}

	/** Of a number that has a bound: beyond it, the bound and one. */
	small(offset: number, bound: number): number {
		const value = this.u64(offset)
		return value > BigInt(bound) ? bound + 1 : Number(value)
	}

	/** The frame of a base pointer, -1 when the machine has none such. */
	root(offset: number): number {
		const value = this.u64(offset) >> 12n
		return value < BigInt(this.vcpu.domain.machine.frames) ? Number(value) : -1
	}

	refuse(why: string): never {
		return this.vcpu.crash(why)
	}
}

/** Before there are page tables: an L4 is filled by one of them. */
function restoreAssists({ domain }: VcpuContext, { view }: Context): void {
	const assists = VM_ASSISTS.reduce((mask, type) => mask | (1 << type), 0)
	Atomics.store(domain.machine.u32, controlWord(domain, CB_VM_ASSIST), view.getUint32(at.vm_assist, true) & assists)
	Atomics.store(domain.machine.u32, controlWord(domain, CB_MM_M2P_STRICT), view.getUint32(at.vm_assist + 4, true) & 1)
	holdForIopl(domain)
}

function pinTables(vcpu: VcpuContext, pins: Uint32Array): void {
	const { types } = vcpu.mm
	for (let n = 0; n < pins.length; n += 2) {
		const mfn = pins[n] as number
		const level = pins[n + 1] as number
		if (level < TYPE_L1 || level > TYPE_L4) vcpu.crash(`frame 0x${mfn.toString(16)} is to be pinned as a page table of level ${level}`)
		const rc = types.getPageAndType(mfn, level)
		if (rc !== 0) refuseTable(vcpu, `the L${level} page table in frame 0x${mfn.toString(16)}`)
		const word = types.at(mfn) + PI_TYPE
		if ((types.u32[word] as number) & PAGE_PINNED) vcpu.crash(`frame 0x${mfn.toString(16)} is to be pinned twice`)
		types.u32[word] = (types.u32[word] as number) | PAGE_PINNED
	}
}

function refuseTable(vcpu: VcpuContext, what: string): never {
	const entry = vcpu.mm.types.refusedEntry
	const where = entry === null ? '' : ` (entry ${entry.index} of the L${entry.level} in frame 0x${entry.table.toString(16)})`
	return vcpu.crash(`${what} breaks a rule${where}`)
}

function restoreDescriptors(vcpu: VcpuContext, context: Context): void {
	const { mm } = vcpu
	const [kernel, user] = [context.root(at.ctrlreg + 3 * 8), context.root(at.ctrlreg + 1 * 8)]
	if (mm.newKernelRoot(kernel) !== 0) refuseTable(vcpu, `the kernel's base pointer, frame 0x${kernel.toString(16)},`)
	if (mm.newUserRoot(user) !== 0) refuseTable(vcpu, `the user's base pointer, frame 0x${user.toString(16)},`)
	const entries = context.small(at.gdt_ents, GDT_PAGES * 512)
	if (entries > GDT_PAGES * 512) context.refuse('its GDT is too long')
	const frames = Array.from({ length: Math.ceil(entries / 512) }, (_, n) => {
		const mfn = context.u64(at.gdt_frames + n * 8)
		return mfn < BigInt(vcpu.domain.machine.frames) ? Number(mfn) : -1
	})
	if (setGdt(vcpu, frames, entries) !== 0) context.refuse('its GDT breaks a rule')
	const ldtEntries = context.small(at.ldt_ents, 8192)
	if (setLdt(vcpu, ldtEntries === 0 ? 0 : context.address(at.ldt_base, 'its LDT at'), ldtEntries) !== 0)
		context.refuse('its LDT breaks a rule')
}

function restoreTraps(vcpu: VcpuContext, context: Context): void {
	const { traps } = vcpu
	const { view } = context
	const flags = context.u64(at.flags)
	const masks = (flag: number) => (flags & BigInt(flag)) !== 0n
	for (let vector = 0; vector < 256; vector++) {
		const entry = at.trap_ctxt + vector * trap_info.size
		const address = context.address(entry + trap_info.at.address, `its handler of vector ${vector} at`)
		if (address === 0) continue
		traps.setGate(vector, view.getUint8(entry + trap_info.at.flags), view.getUint16(entry + trap_info.at.cs, true) | 3, address)
	}
	traps.event = { address: context.address(at.event_callback_eip, 'its event callback at'), masksEvents: true }
	traps.failsafe = {
		address: context.address(at.failsafe_callback_eip, 'its failsafe callback at'),
		masksEvents: masks(VGCF_failsafe_disables_events),
	}
	traps.syscall = {
		address: context.address(at.syscall_callback_eip, 'its system call entry at'),
		masksEvents: masks(VGCF_syscall_disables_events),
	}
	traps.kernelSp = context.address(at.kernel_sp, "its kernel's stack at")
	traps.kernelSs = context.small(at.kernel_ss, 0xffff) & 0xffff
}

function restoreExtended(vcpu: VcpuContext, extended: Context): void {
	const { syscall32_callback_eip, sysenter_callback_eip, syscall32_disables_events, sysenter_disables_events } = ext_vcpucontext.at
	const callback = (address: number, masks: number) => ({
		address: extended.address(address, 'a callback at'),
		masksEvents: extended.view.getUint8(masks) !== 0,
	})
	vcpu.traps.syscall32 = callback(syscall32_callback_eip, syscall32_disables_events)
	vcpu.traps.sysenter = callback(sysenter_callback_eip, sysenter_disables_events)
}

function restoreControl(vcpu: VcpuContext, context: Context): void {
	const { cpu, domain } = vcpu
	const low = (offset: number) => context.view.getUint32(offset, true)
	cpu.setField(CPU_CR0, GUEST_CR0)
	setTaskSwitched(vcpu, (low(at.ctrlreg) & CR0_TS) !== 0)
	cpu.setField(CPU_CR4, GUEST_CR4 | (low(at.ctrlreg + 4 * 8) & CR4_GUEST_MASK))
	for (const register of [0, 1, 2, 3, 6, 7]) {
		const value = at.debugreg + register * 8
		// One that may not be is left as it is: the guest's breakpoints go, and no more.
		if (writeDebugRegister(vcpu, register, low(value), low(value + 4)) !== 0) writeDebugRegister(vcpu, register, 0, 0)
	}
	domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = context.view.getUint8(
		at.user_regs + cpu_user_regs.at.saved_upcall_mask,
	)
		? 1
		: 0
}

function restoreRegisters(vcpu: VcpuContext, context: Context): void {
	const { cpu } = vcpu
	const { view } = context
	const registers = at.user_regs
	const regs = cpu_user_regs.at
	const inKernel = (context.u64(at.flags) & BigInt(VGCF_in_kernel)) !== 0n
	if (!inKernel && vcpu.mm.userRoot === 0) context.refuse('it was in user mode without page tables for that')
	const selector = (offset: number) => view.getUint16(registers + offset, true) | 3
	const isNull = (offset: number) => view.getUint16(registers + offset, true) < 4

	const cs = selector(regs.cs)
	if (cs === FLAT_RING3_CS64) setFlatCode(vcpu, cs)
	else if (!cpu.loadCodeSegment(cs)) context.refuse(`its code selector 0x${cs.toString(16)} cannot be loaded`)
	const ss = selector(regs.ss)
	if (ss === FLAT_RING3_SS64 || ss === FLAT_KERNEL_SS || isNull(regs.ss)) setFlatStack(vcpu, FLAT_RING3_SS64)
	else if (!cpu.loadSegment(SS, ss)) context.refuse(`its stack selector 0x${ss.toString(16)} cannot be loaded`)
	for (const [register, offset] of [
		[ES, regs.es],
		[DS, regs.ds],
		[FS, regs.fs],
		[GS, regs.gs],
	] as const) {
		// As a switch to the vCPU does in Xen: a selector that cannot be loaded becomes null.
		if (isNull(offset) || !cpu.loadSegment(register, selector(offset))) cpu.loadSegment(register, 0)
	}
	cpu.setWide(SLOT_FS_BASE, context.address(at.fs_base, 'its FS base'))
	const [kernelBase, userBase] = [context.address(at.gs_base_kernel, 'its GS base'), context.address(at.gs_base_user, 'its GS base')]
	cpu.setWide(SLOT_GS_BASE, inKernel ? kernelBase : userBase)
	cpu.setWide(CPU_KERNEL_GS_BASE, inKernel ? userBase : kernelBase)

	for (const [name, register] of Object.entries({ ...GENERAL, ...LEGACY })) {
		const from = registers + regs[name as keyof typeof regs]
		cpu.setHalves(register, view.getUint32(from, true), view.getUint32(from + 4, true))
	}
	const rsp = registers + regs.rsp
	cpu.setHalves(RSP, view.getUint32(rsp, true), view.getUint32(rsp + 4, true))
	cpu.rip = context.address(registers + regs.rip, 'its next instruction at')
	const rflags = view.getUint32(registers + regs.rflags, true)
	cpu.rflags = ((rflags & RFLAGS_KEPT) | EFLAGS_IF | RFLAGS_FIXED) >>> 0
	vcpu.traps.iopl = rflags & EFLAGS_IOPL
	cpu.setKernelMode(inKernel)
}

/** From FXSAVE's 64-bit form. */
function restoreFpu({ cpu }: VcpuContext, area: Uint8Array): void {
	const { u8, u16 } = cpu.machine
	const { state } = cpu
	const view = new DataView(area.buffer, area.byteOffset, area.length)
	const status = view.getUint16(2, true)
	const control = (view.getUint16(0, true) & FCW_WRITABLE) | FCW_FIXED
	u16[(state + CPU_FCW) >>> 1] = control
	u16[(state + CPU_FSW) >>> 1] = status & ~control & FSW_EXCEPTIONS ? status | FSW_SUMMARY : status & ~FSW_SUMMARY
	u8[state + CPU_FTW] = view.getUint8(4)
	u16[(state + CPU_FOP) >>> 1] = view.getUint16(6, true) & 0x7ff
	for (const [field, from] of [
		[CPU_FIP, 8],
		[CPU_FDP, 16],
	] as const) {
		cpu.setField(field, view.getUint32(from, true))
		cpu.setField(field + 4, view.getUint32(from + 4, true))
	}
	cpu.setField(CPU_MXCSR, view.getUint32(24, true) & MXCSR_MASK)
	const top = (status >>> 11) & 7
	for (let n = 0; n < 8; n++) u8.set(area.subarray(32 + n * 16, 42 + n * 16), state + CPU_X87 + ((top + n) & 7) * 16)
	u8.set(area.subarray(160, 416), state + CPU_XMM)
}

if (PAGE_SIZE !== 512 * 8 || at.fpu_ctxt !== 0) throw new Error('struct vcpu_guest_context')
