import { vcpu_info } from '../abi/xen.ts'
import { CPU_CR0, CPU_CR3_KERNEL, CPU_CR3_USER, CPU_CR4, SLOT_FS_BASE, SLOT_GS_BASE } from '../x86/core/layout.ts'
import { R8, R9, R10, R11, R12, R13, R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from '../x86/cpu.ts'
import { hex } from './bounce.ts'
import { copyFromGuest } from './guest_access.ts'
import { CS, DS, ES, FS, GS, SS } from './segments.ts'
import type { VcpuContext } from './vcpu.ts'

const STACK_WORDS = 32

/** The vCPU's state in the form of Xen's show_execution_state(), one line each. */
export function dumpRegisters(vcpu: VcpuContext): string[] {
	const { cpu } = vcpu
	const register = (n: number) => cpu.getBig(n).toString(16).padStart(16, '0')
	const selector = (n: number) => cpu.selector(n).toString(16).padStart(4, '0')
	const cr3 = hex(cpu.field(vcpu.kernelMode ? CPU_CR3_KERNEL : CPU_CR3_USER) * 4096)
	return [
		`CPU:    ${vcpu.index}`,
		`RIP:    ${selector(CS)}:[<${hex(cpu.rip)}>]`,
		`RFLAGS: ${hex(cpu.rflags)}   CONTEXT: pv guest (d${vcpu.domain.domid}v${vcpu.index}), ${vcpu.kernelMode ? 'kernel' : 'user'}`,
		`rax: ${register(RAX)}   rbx: ${register(RBX)}   rcx: ${register(RCX)}`,
		`rdx: ${register(RDX)}   rsi: ${register(RSI)}   rdi: ${register(RDI)}`,
		`rbp: ${register(RBP)}   rsp: ${register(RSP)}   r8:  ${register(R8)}`,
		`r9:  ${register(R9)}   r10: ${register(R10)}   r11: ${register(R11)}`,
		`r12: ${register(R12)}   r13: ${register(R13)}   r14: ${register(R14)}`,
		`r15: ${register(R15)}   cr0: ${hex(cpu.field(CPU_CR0))}   cr4: ${hex(cpu.field(CPU_CR4))}`,
		`cr3: ${cr3}   cr2: ${hex(guestCr2(vcpu))}`,
		`fsb: ${hex(cpu.wide(SLOT_FS_BASE))}   gsb: ${hex(cpu.wide(SLOT_GS_BASE))}`,
		`ds: ${selector(DS)}   es: ${selector(ES)}   fs: ${selector(FS)}   gs: ${selector(GS)}   ss: ${selector(SS)}   cs: ${selector(CS)}`,
		...dumpStack(vcpu),
	]
}

function guestCr2(vcpu: VcpuContext): number {
	const words = vcpu.domain.machine
	const at = (vcpu.vcpuInfo + vcpu_info.at.arch) >>> 2
	return (words.i32[at + 1] as number) * 4294967296 + (words.u32[at] as number)
}

function dumpStack(vcpu: VcpuContext): string[] {
	const rsp = vcpu.cpu.get(RSP)
	const lines = [`Guest stack trace from rsp=${hex(rsp)}:`]
	let words: string[] = []
	for (let n = 0; n < STACK_WORDS; n++) {
		const bytes = copyFromGuest(vcpu.cpu, rsp + n * 8, 8)
		if (!bytes) {
			lines.push(`  Fault while accessing guest memory.`)
			break
		}
		words.push(new DataView(bytes.buffer).getBigUint64(0, true).toString(16).padStart(16, '0'))
		if (words.length === 4 || n === STACK_WORDS - 1) {
			lines.push(`   ${words.join(' ')}`)
			words = []
		}
	}
	return lines
}
