import { XEN_EINVAL, XEN_ENODEV, XEN_EPERM } from '../abi/errno.ts'
import { __HYPERVISOR_get_debugreg, __HYPERVISOR_set_debugreg, HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../abi/xen.ts'
import { CPU_CR4, CPU_DR } from '../x86/core/layout.ts'
import { isCanonical } from './guest_access.ts'
import { argHi, argU32, type HypercallArgs } from './hypercall_args.ts'
import type { HypercallRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

const CR4_DE = 8
const DR6_RESERVED_ONE = 0xffff_0ff0
const DR6_RESERVED_ZERO = 0x0000_1000
const DR7_RESERVED_ONE = 0x0000_0400
const DR7_RESERVED_ZERO = 0x0000_d800
const DR7_GENERAL_DETECT = 0x2000
const DR7_ACTIVE_MASK = 0xff
/** R/W field of a breakpoint that watches I/O. */
const DR_IO = 2

/** Offset of a debug register in the processor's state; registers 4 and 5 are aliases of 6 and 7 while CR4.DE is clear. */
function place(vcpu: VcpuContext, register: number): number | undefined {
	if (register <= 3) return CPU_DR + register * 8
	if (register > 7 || (register <= 5 && vcpu.cpu.field(CPU_CR4) & CR4_DE)) return undefined
	return CPU_DR + (register & 1 ? 5 : 4) * 8
}

/** The register's value, or undefined when there is no such register (#UD, -ENODEV). */
export function readDebugRegister(vcpu: VcpuContext, register: number): number | undefined {
	const at = place(vcpu, register)
	return at === undefined ? undefined : vcpu.cpu.wide(at)
}

/** 0, -ENODEV (no such register), -EINVAL (a bit that cannot be set) or -EPERM (a valid bit, not for a guest). */
export function writeDebugRegister(vcpu: VcpuContext, register: number, lo: number, hi: number): number {
	const at = place(vcpu, register)
	if (at === undefined) return -XEN_ENODEV
	if (register <= 3) {
		const address = (hi | 0) * 4294967296 + lo
		if (!isCanonical(address) || (address >= HYPERVISOR_VIRT_START && address < HYPERVISOR_VIRT_END)) return -XEN_EPERM
		vcpu.cpu.setWide(at, address)
		return 0
	}
	if (hi !== 0) return -XEN_EINVAL
	let value = lo
	if (register & 1) {
		value = (value & ~DR7_RESERVED_ZERO) | DR7_RESERVED_ONE
		if (value & DR7_GENERAL_DETECT || (value & DR7_ACTIVE_MASK && !ioBreakpointsAllowed(vcpu, value))) return -XEN_EPERM
	} else value = (value & ~DR6_RESERVED_ZERO) | DR6_RESERVED_ONE
	vcpu.cpu.setWide(at, value >>> 0)
	return 0
}

/** I/O breakpoints exist only with CR4.DE. */
function ioBreakpointsAllowed(vcpu: VcpuContext, dr7: number): boolean {
	if (vcpu.cpu.field(CPU_CR4) & CR4_DE) return true
	for (let shift = 16; shift < 32; shift += 4) if (((dr7 >>> shift) & 3) === DR_IO) return false
	return true
}

export const debugRegisterHypercalls: readonly HypercallRow[] = [
	{
		number: __HYPERVISOR_set_debugreg,
		name: 'set_debugreg',
		source: 'arch-x86/xen.h: HYPERVISOR_set_debugreg',
		status: 'implemented',
		handler: (vcpu: VcpuContext, args: HypercallArgs) => writeDebugRegister(vcpu, argU32(args, 0), argU32(args, 1), argHi(args, 1)),
	},
	{
		number: __HYPERVISOR_get_debugreg,
		name: 'get_debugreg',
		source: 'arch-x86/xen.h: HYPERVISOR_get_debugreg',
		status: 'implemented',
		handler: (vcpu: VcpuContext, args: HypercallArgs) => readDebugRegister(vcpu, argU32(args, 0)) ?? -XEN_ENODEV,
	},
]
