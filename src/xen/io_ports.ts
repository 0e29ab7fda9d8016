/** IN, OUT, INS and OUTS: a domU has no device behind any port. */
import { VMASST_TYPE_architectural_iopl } from '../abi/xen.ts'
import { RCX, RDI, RSI } from '../x86/cpu.ts'
import { EFLAGS_DF } from './bounce.ts'
import { writeConsole } from './console_io.ts'
import { copyFromGuest } from './guest_access.ts'
import { readGuest, writeGuestBytes } from './guest_struct.ts'
import type { VcpuContext } from './vcpu.ts'
import { vmAssist } from './vm_assist.ts'

/** The 8254's channel 2, which Linux times its first calibration by. */
const PIT_CHANNEL_2 = 0x42
const DEBUG_CONSOLE = 0xe9
/** Elements that one execution of a repeated INS or OUTS moves before it is started again. */
const REPEAT_MAX = 1024

/** Whether the guest's IOPL lets its present mode use ports, CLI and STI: its kernel counts as ring 1, or 0 with the assist. */
export function ioplAllows(vcpu: VcpuContext): boolean {
	const ring = !vcpu.kernelMode ? 3 : vmAssist(vcpu.domain, VMASST_TYPE_architectural_iopl) ? 0 : 1
	return ring <= vcpu.traps.iopl >> 12
}

/** Whether the guest may use `size` ports from `port`: by its IOPL, or by the bitmap its kernel has set. */
export function portsAllowed(vcpu: VcpuContext, port: number, size: number): boolean {
	if (ioplAllows(vcpu)) return true
	const { ioBitmap, ioBitmapPorts } = vcpu.traps
	if (port + size > ioBitmapPorts) return false
	// The bitmap is in the kernel's address space.
	const user = !vcpu.kernelMode
	if (user) vcpu.cpu.setKernelMode(true)
	const bytes = copyFromGuest(vcpu.cpu, ioBitmap + (port >>> 3), 2) ?? copyFromGuest(vcpu.cpu, ioBitmap + (port >>> 3), 1)
	if (user) vcpu.cpu.setKernelMode(false)
	const denied = ((bytes?.[0] ?? 0xff) | ((bytes?.[1] ?? 0xff) << 8)) & (((1 << size) - 1) << (port & 7))
	return denied === 0
}

/**
 * Reads `size` bytes from a port: all ones where nothing answers. Channel 2 of the 8254 reads as 0, which Linux takes for a
 * timer that has run out: its calibration loop ends at once, where Xen's all ones keep it going for 50000 turns.
 */
export function readPort(port: number, size: number): number {
	let value = size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1
	const byte = PIT_CHANNEL_2 - port
	if (byte >= 0 && byte < size) value = (value & ~(0xff << (byte * 8))) >>> 0
	return value
}

/** Writes to a port: dropped, but for the debug console. */
export function writePort(vcpu: VcpuContext, port: number, size: number, value: number): void {
	if (port === DEBUG_CONSOLE && size === 1) writeConsole(vcpu, Uint8Array.of(value & 0xff))
}

/** What a string instruction came to: finished, to be executed again, or a page fault at an address. */
export type StringResult = { readonly done: boolean } | { readonly fault: number; readonly write: boolean }

/** INS or OUTS, with addresses of 64 bits; registers are advanced by what was moved. */
export function stringIo(vcpu: VcpuContext, input: boolean, port: number, size: number, repeat: boolean): StringResult {
	const { cpu } = vcpu
	const register = input ? RDI : RSI
	const step = cpu.rflags & EFLAGS_DF ? -size : size
	const left = repeat ? (cpu.hi(RCX) === 0 ? cpu.lo(RCX) : REPEAT_MAX + 1) : 1
	const bytes = new Uint8Array(size)
	for (let n = 0; n < Math.min(left, REPEAT_MAX); n++) {
		const address = cpu.get(register)
		if (input) {
			const value = readPort(port, size)
			for (let b = 0; b < size; b++) bytes[b] = value >>> (8 * b)
			if (!writeGuestBytes(vcpu, address, bytes)) return { fault: address, write: true }
		} else {
			const view = readGuest(vcpu, address, size)
			if (!view) return { fault: address, write: false }
			writePort(vcpu, port, size, view.getUint8(0))
		}
		cpu.set(register, address + step)
		if (repeat) cpu.setBig(RCX, cpu.getBig(RCX) - 1n)
	}
	return { done: left <= REPEAT_MAX }
}
