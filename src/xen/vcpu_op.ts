import { XEN_EEXIST, XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENXIO, XEN_ETIME } from '../abi/errno.ts'
import { SHUTDOWN_poweroff } from '../abi/sched.ts'
import {
	VCPU_SSHOTTMR_future,
	VCPUOP_down,
	VCPUOP_get_physid,
	VCPUOP_get_runstate_info,
	VCPUOP_initialise,
	VCPUOP_is_up,
	VCPUOP_register_runstate_memory_area,
	VCPUOP_register_vcpu_info,
	VCPUOP_register_vcpu_time_memory_area,
	VCPUOP_send_nmi,
	VCPUOP_set_periodic_timer,
	VCPUOP_set_singleshot_timer,
	VCPUOP_stop_periodic_timer,
	VCPUOP_stop_singleshot_timer,
	VCPUOP_up,
	vcpu_register_vcpu_info,
	vcpu_runstate_info,
	vcpu_set_singleshot_timer,
} from '../abi/vcpu.ts'
import { __HYPERVISOR_set_timer_op, __HYPERVISOR_vcpu_op, vcpu_guest_context, vcpu_info, vcpu_time_info } from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { guestRangeOk, readGuest, viewGva, viewU64, writeGuestBytes } from './guest_struct.ts'
import { argNumber, argU32, type HypercallArgs } from './hypercall_args.ts'
import { dispatchSubop, type HypercallRow, type SubopRow } from './hypercall_row.ts'
import { TYPE_WRITABLE } from './mm/page_info.ts'
import { encodeRunstate, readRunstate, writeRunstateArea } from './runstate.ts'
import { shutdownSelf } from './shutdown.ts'
import { updateTime } from './time.ts'
import type { VcpuContext } from './vcpu.ts'
import { VS_NMI_PENDING, VS_ONLINE, VS_VCPU_INFO, vcpuWord } from './vcpu_shared.ts'
import { wakeVcpu } from './wake.ts'

const MILLISECOND_NS = 1_000_000
/** STIME_DELTA_MAX: the longest period. */
const PERIOD_MAX_NS = 2 ** 62
/** set_timer_op: deadlines further away than this are taken for wrapped ones. */
const HUGE_TIMEOUT_NS = 2 ** 50
const HUGE_TIMEOUT_FALLBACK_NS = 100 * MILLISECOND_NS

/** A copy of the structure that the third argument points to, or null (-EFAULT). */
function readArgument(vcpu: VcpuContext, args: HypercallArgs, size: number): DataView | null {
	return readGuest(vcpu, argNumber(args, 2), size)
}

/** The vCPU's own context is set already: -EEXIST once it has been read. */
function initialise(vcpu: VcpuContext, args: HypercallArgs): number {
	return readArgument(vcpu, args, vcpu_guest_context.size) ? -XEN_EEXIST : -XEN_EFAULT
}

/** The last vCPU going down is a shutdown. */
function down(vcpu: VcpuContext): number {
	shutdownSelf(vcpu, SHUTDOWN_poweroff)
	return 0
}

function isUp(vcpu: VcpuContext, args: HypercallArgs): number {
	return Atomics.load(vcpu.domain.machine.u32, vcpuWord(vcpu.domain, argU32(args, 1), VS_ONLINE))
}

function getRunstateInfo(vcpu: VcpuContext, args: HypercallArgs): number {
	const runstate = readRunstate(vcpu.domain, argU32(args, 1), vcpu.clock.monotonic_ns())
	return writeGuestBytes(vcpu, argNumber(args, 2), encodeRunstate(runstate)) ? 0 : -XEN_EFAULT
}

function registerRunstateArea(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readArgument(vcpu, args, 8)
	if (!view) return -XEN_EFAULT
	const area = viewGva(view, 0)
	if (!guestRangeOk(area, vcpu_runstate_info.size)) return -XEN_EFAULT
	vcpu.timers.runstateArea = area
	// A fault here is no error to Xen: the area may be mapped later.
	writeRunstateArea(vcpu, area)
	return 0
}

function registerTimeArea(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readArgument(vcpu, args, 8)
	if (!view) return -XEN_EFAULT
	const area = viewGva(view, 0)
	if (!guestRangeOk(area, vcpu_time_info.size)) return -XEN_EFAULT
	vcpu.timers.timeArea = area
	updateTime(vcpu)
	return 0
}

function setPeriodicTimer(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readArgument(vcpu, args, 8)
	if (!view) return -XEN_EFAULT
	const period = viewU64(view, 0)
	if (period < MILLISECOND_NS || period > PERIOD_MAX_NS) return -XEN_EINVAL
	vcpu.timers.setPeriod(period)
	return 0
}

function setSingleshotTimer(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readArgument(vcpu, args, vcpu_set_singleshot_timer.size)
	if (!view) return -XEN_EFAULT
	const deadline = viewU64(view, vcpu_set_singleshot_timer.at.timeout_abs_ns)
	const flags = view.getUint32(vcpu_set_singleshot_timer.at.flags, true)
	if (flags & VCPU_SSHOTTMR_future && deadline < vcpu.clock.monotonic_ns()) return -XEN_ETIME
	// Xen keeps the deadline as a signed number: one above 2^63 is in the past.
	vcpu.timers.setSingleshot(viewGva(view, vcpu_set_singleshot_timer.at.timeout_abs_ns))
	return 0
}

/** Moves vcpu_info to the guest's own page, once. -ENXIO (not inside one page), -EINVAL (done before, or no frame of its own). */
function registerVcpuInfo(vcpu: VcpuContext, args: HypercallArgs): number {
	const view = readArgument(vcpu, args, vcpu_register_vcpu_info.size)
	if (!view) return -XEN_EFAULT
	const { domain } = vcpu
	const at = vcpu_register_vcpu_info.at
	const offset = view.getUint32(at.offset, true)
	if (offset > PAGE_SIZE - vcpu_info.size || offset % 8 !== 0) return -XEN_ENXIO
	const shared = domain.machine.frameAddress(domain.layout.sharedInfoMfn)
	if (vcpu.vcpuInfo < shared || vcpu.vcpuInfo >= shared + PAGE_SIZE) return -XEN_EINVAL
	const mfn = viewU64(view, at.mfn)
	// The reference is kept: the frame stays writable and the guest's until the domain is gone.
	if (mfn >= domain.layout.frames || vcpu.mm.types.getPageAndType(mfn, TYPE_WRITABLE) !== 0) return -XEN_EINVAL
	moveVcpuInfo(vcpu, domain.machine.frameAddress(mfn) + offset)
	updateTime(vcpu)
	return 0
}

/** Copies the present content and switches over; then everything is marked pending, as events may have come in between. */
function moveVcpuInfo(vcpu: VcpuContext, to: number): void {
	const { domain } = vcpu
	const bytes = domain.machine.u8
	bytes.copyWithin(to, vcpu.vcpuInfo, vcpu.vcpuInfo + vcpu_info.size)
	vcpu.vcpuInfo = to
	Atomics.store(domain.machine.u32, vcpuWord(domain, vcpu.index, VS_VCPU_INFO), to)
	Atomics.store(bytes, to + vcpu_info.at.evtchn_upcall_pending, 1)
	const selector = (to + vcpu_info.at.evtchn_pending_sel) >>> 2
	Atomics.store(domain.machine.u32, selector, 0xffff_ffff)
	Atomics.store(domain.machine.u32, selector + 1, 0xffff_ffff)
}

function sendNmi(vcpu: VcpuContext, args: HypercallArgs): number {
	if (args[4] !== 0 || args[5] !== 0) return -XEN_EINVAL
	const target = argU32(args, 1)
	Atomics.store(vcpu.domain.machine.u32, vcpuWord(vcpu.domain, target, VS_NMI_PENDING), 1)
	wakeVcpu(vcpu.domain, target)
	return 0
}

/** HYPERVISOR_set_timer_op: a system time in ns, 0 to stop. */
function setTimerOp(vcpu: VcpuContext, args: HypercallArgs): number {
	const timeout = argNumber(args, 0)
	const now = vcpu.clock.monotonic_ns()
	if (timeout === 0) vcpu.timers.setSingleshot(Number.POSITIVE_INFINITY)
	else if (timeout < 0 || timeout - now >= HUGE_TIMEOUT_NS) vcpu.timers.setSingleshot(now + HUGE_TIMEOUT_FALLBACK_NS)
	else vcpu.timers.setSingleshot(timeout)
	return 0
}

const implemented = (name: string, handler: SubopRow['handler']): SubopRow => ({ name, status: 'implemented', ...(handler && { handler }) })

const subops: Readonly<Record<number, SubopRow>> = {
	[VCPUOP_initialise]: implemented('VCPUOP_initialise', initialise),
	[VCPUOP_up]: implemented('VCPUOP_up', () => 0),
	[VCPUOP_down]: implemented('VCPUOP_down', down),
	[VCPUOP_is_up]: implemented('VCPUOP_is_up', isUp),
	[VCPUOP_get_runstate_info]: implemented('VCPUOP_get_runstate_info', getRunstateInfo),
	[VCPUOP_register_runstate_memory_area]: implemented('VCPUOP_register_runstate_memory_area', registerRunstateArea),
	[VCPUOP_set_periodic_timer]: implemented('VCPUOP_set_periodic_timer', setPeriodicTimer),
	[VCPUOP_stop_periodic_timer]: implemented('VCPUOP_stop_periodic_timer', (vcpu) => {
		vcpu.timers.setPeriod(0)
		return 0
	}),
	[VCPUOP_set_singleshot_timer]: implemented('VCPUOP_set_singleshot_timer', setSingleshotTimer),
	[VCPUOP_stop_singleshot_timer]: implemented('VCPUOP_stop_singleshot_timer', (vcpu) => {
		vcpu.timers.setSingleshot(Number.POSITIVE_INFINITY)
		return 0
	}),
	[VCPUOP_register_vcpu_info]: implemented('VCPUOP_register_vcpu_info', registerVcpuInfo),
	[VCPUOP_send_nmi]: implemented('VCPUOP_send_nmi', sendNmi),
	[VCPUOP_get_physid]: { name: 'VCPUOP_get_physid', status: 'refused', errno: XEN_EINVAL, note: 'only for the hardware domain' },
	[VCPUOP_register_vcpu_time_memory_area]: implemented('VCPUOP_register_vcpu_time_memory_area', registerTimeArea),
}

/** -ENOENT for a vCPU that the domain isn't configured with. A domain has one vCPU, so any other operation is on the caller. */
function vcpuOp(vcpu: VcpuContext, args: HypercallArgs): number {
	if (argU32(args, 1) >= vcpu.domain.description.vcpus) return -XEN_ENOENT
	return dispatchSubop(vcpu, subops, argU32(args, 0), args)
}

export const vcpuHypercalls: readonly HypercallRow[] = [
	{ number: __HYPERVISOR_vcpu_op, name: 'vcpu_op', source: 'vcpu.h: HYPERVISOR_vcpu_op', status: 'implemented', handler: vcpuOp, subops },
	{
		number: __HYPERVISOR_set_timer_op,
		name: 'set_timer_op',
		source: 'xen.h: HYPERVISOR_set_timer_op',
		status: 'implemented',
		handler: setTimerOp,
	},
]
