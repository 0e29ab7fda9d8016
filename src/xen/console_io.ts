/**
 * HYPERVISOR_console_io: the guest's early and last words, line by line into the hypervisor's log.
 *
 * Real Xen serves CONSOLEIO_write to a domU when it was built with CONFIG_VERBOSE_DEBUG; here it always does, at a bounded rate.
 */
import { XEN_EFAULT, XEN_EPERM } from '../abi/errno.ts'
import { __HYPERVISOR_console_io, CONSOLEIO_read, CONSOLEIO_write } from '../abi/xen.ts'
import { copyFromGuest } from './guest_access.ts'
import { guestRangeOk } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs, setArg } from './hypercall_args.ts'
import { dispatchSubop, HYPERCALL_PREEMPTED, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import type { VcpuContext } from './vcpu.ts'

/** Bytes that are copied from the guest at a time. */
const CHUNK_bytes = 127
/** A longer line is broken (Xen: DOMAIN_PBUF_SIZE). */
const LINE_bytes = 200
/** Lines that may come in a burst, and lines a second after that; more are counted and dropped. */
const BURST_lines = 2000
const RATE_lines_per_s = 200

/** The line that a vCPU's guest is writing, and its allowance. Used by the vCPU's own thread only. */
export class ConsoleState {
	readonly line = new Uint8Array(LINE_bytes + CHUNK_bytes)
	length = 0
	allowance_lines = BURST_lines
	refilled_ns = 0
	dropped_lines = 0
}

/** Takes one line from the allowance; false when it is used up. */
function takeLine(vcpu: VcpuContext): boolean {
	const { console } = vcpu
	const now_ns = vcpu.clock.monotonic_ns()
	const earned = ((now_ns - console.refilled_ns) / 1e9) * RATE_lines_per_s
	console.refilled_ns = now_ns
	console.allowance_lines = Math.min(BURST_lines, console.allowance_lines + earned)
	if (console.allowance_lines < 1) {
		console.dropped_lines++
		return false
	}
	console.allowance_lines--
	return true
}

function endLine(vcpu: VcpuContext): void {
	const { console } = vcpu
	const line = console.line.slice(0, console.length + 1)
	line[console.length] = 0x0a
	console.length = 0
	if (!takeLine(vcpu)) return
	if (console.dropped_lines > 0) {
		vcpu.log('warning', `${console.dropped_lines} lines of console output dropped`)
		console.dropped_lines = 0
	}
	vcpu.host.emergencyConsole(line)
}

/** Adds bytes to the guest's line, dropping what is not printable (ASCII 0x20 to 0x7e, tab), and ends it at each newline. */
export function writeConsole(vcpu: VcpuContext, bytes: Uint8Array): void {
	const { console } = vcpu
	for (const byte of bytes) {
		if (byte === 0x0a) endLine(vcpu)
		else if (byte === 0x09 || (byte >= 0x20 && byte < 0x7f)) {
			console.line[console.length++] = byte
			if (console.length >= LINE_bytes) endLine(vcpu)
		}
	}
}

function write(vcpu: VcpuContext, args: HypercallArgs): number {
	let count = argU32(args, 1)
	let address = argNumber(args, 2)
	for (let first = true; count > 0; first = false) {
		if (!first && vcpu.preemptPending()) {
			args[2] = count
			setArg(args, 2, address)
			return HYPERCALL_PREEMPTED
		}
		const size = Math.min(count, CHUNK_bytes)
		const bytes = guestRangeOk(address, size) ? copyFromGuest(vcpu.cpu, address, size) : null
		if (!bytes) return -XEN_EFAULT
		writeConsole(vcpu, bytes)
		count -= size
		address += size
	}
	return 0
}

export const consoleIoSubops: Readonly<Record<number, SubopRow>> = {
	[CONSOLEIO_write]: {
		name: 'CONSOLEIO_write',
		status: 'implemented',
		handler: write,
		note: 'always, as in a Xen with CONFIG_VERBOSE_DEBUG; 2000 lines at once, then 200 a second',
	},
	[CONSOLEIO_read]: { name: 'CONSOLEIO_read', status: 'refused', errno: XEN_EPERM },
}

export const consoleIoHypercall: HypercallRow = {
	number: __HYPERVISOR_console_io,
	name: 'console_io',
	source: 'xen.h: HYPERVISOR_console_io',
	status: 'implemented',
	subops: consoleIoSubops,
	// The command is checked after the privilege, so an unknown one is -EPERM as well.
	handler: (vcpu, args) => dispatchSubop(vcpu, consoleIoSubops, argU32(args, 0), args, XEN_EPERM),
}
