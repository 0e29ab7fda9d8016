/**
 * What only a vCPU's own thread can tell of it, for debug keys: its registers, its translator.
 *
 * The control half sets bits of VS_DEBUG and wakes the vCPU; the vCPU's loop takes them on its next turn, running, blocked or paused, and
 * answers once with VcpuHost.report(), however many bits there were.
 */
import { clearCounters, readCounters } from '../x86/counters.ts'
import { captureContext, captureExtendedContext } from './guest_context.ts'
import { describeProcessor } from './processor_report.ts'
import { dumpRegisters } from './registers_dump.ts'
import type { VcpuContext } from './vcpu.ts'
import { VS_DEBUG, vcpuWord } from './vcpu_shared.ts'

/** Bits of VS_DEBUG. */
export const DEBUG_REGISTERS = 1
export const DEBUG_PROCESSOR = 2
export const DEBUG_CLEAR_COUNTERS = 4
/** Its struct vcpu_guest_context and struct xen_domctl_ext_vcpucontext, each as one line of hexadecimal digits; asked for alone. */
export const DEBUG_CONTEXT = 8

/** The vCPU's thread, once a turn. */
export function answerDebugRequest(vcpu: VcpuContext, translator: { readonly statistics: object } | undefined): void {
	const { domain, index, cpu } = vcpu
	const words = domain.machine.i32
	const word = vcpuWord(domain, index, VS_DEBUG)
	if (Atomics.load(words, word) === 0) return
	const request = Atomics.exchange(words, word, 0)
	const lines: string[] = []
	if (request & DEBUG_REGISTERS) lines.push(`*** Dumping Dom${domain.domid} vcpu#${index} state: ***`, ...dumpRegisters(vcpu))
	if (request & DEBUG_PROCESSOR) {
		lines.push(...describeProcessor(`d${domain.domid}v${index}`, readCounters(cpu.machine, cpu.index), translator?.statistics))
	}
	if (request & DEBUG_CONTEXT) lines.push(hexDigits(captureContext(vcpu)), hexDigits(captureExtendedContext(vcpu)))
	if (request & DEBUG_CLEAR_COUNTERS) clearCounters(cpu.machine, cpu.index)
	vcpu.host.report(lines)
}

function hexDigits(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
