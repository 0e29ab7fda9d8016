/** Hypercalls that an unprivileged PV domain is always refused, with the errno of Xen 4.17 in its default configuration. */
import { XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM } from '../abi/errno.ts'
import * as O from '../abi/privileged_ops.ts'
import * as X from '../abi/xen.ts'
import type { HypercallRow, HypercallStatus, SubopRow } from './hypercall_row.ts'

function row(
	number: number,
	name: string,
	source: string,
	status: HypercallStatus,
	errno: number,
	note: string,
	operations: O.OperationNames = {},
): HypercallRow {
	const subops = Object.fromEntries(Object.entries(operations).map(([command, operation]) => [command, { name: operation, status, errno }]))
	return { number, name, source, status, errno, note, subops: subops as Record<number, SubopRow> }
}

const refused = (number: number, name: string, source: string, errno: number, note: string, operations?: O.OperationNames) =>
	row(number, name, source, 'refused', errno, note, operations)
const absent = (number: number, name: string, source: string, note: string, operations?: O.OperationNames) =>
	row(number, name, source, 'not-applicable', XEN_ENOSYS, note, operations)

export const refusedHypercalls: readonly HypercallRow[] = [
	refused(
		X.__HYPERVISOR_platform_op,
		'platform_op',
		'platform.h: HYPERVISOR_platform_op',
		XEN_EPERM,
		'hardware domain only',
		O.platformOperations,
	),
	absent(X.__HYPERVISOR_xsm_op, 'xsm_op', 'xsm/flask_op.h: HYPERVISOR_xsm_op', 'built without FLASK', O.flaskOperations),
	absent(
		X.__HYPERVISOR_xenoprof_op,
		'xenoprof_op',
		'xenoprof.h: HYPERVISOR_xenoprof_op',
		'built without CONFIG_XENOPROF',
		O.xenoprofOperations,
	),
	refused(X.__HYPERVISOR_sysctl, 'sysctl', 'sysctl.h: HYPERVISOR_sysctl', XEN_EPERM, 'control domain only', O.sysctlOperations),
	refused(X.__HYPERVISOR_domctl, 'domctl', 'domctl.h: HYPERVISOR_domctl', XEN_EPERM, 'control domain only', O.domctlOperations),
	refused(X.__HYPERVISOR_kexec_op, 'kexec_op', 'kexec.h: HYPERVISOR_kexec_op', XEN_EPERM, 'hardware domain only', O.kexecOperations),
	absent(X.__HYPERVISOR_tmem_op, 'tmem_op', 'xen.h: __HYPERVISOR_tmem_op', 'retired in Xen 4.13'),
	absent(X.__HYPERVISOR_argo_op, 'argo_op', 'argo.h: HYPERVISOR_argo_op', 'built without CONFIG_ARGO', O.argoOperations),
	refused(
		X.__HYPERVISOR_xenpmu_op,
		'xenpmu_op',
		'pmu.h: HYPERVISOR_xenpmu_op',
		XEN_EOPNOTSUPP,
		'the virtual PMU is off by default (vpmu=)',
		O.xenpmuOperations,
	),
	refused(X.__HYPERVISOR_dm_op, 'dm_op', 'hvm/dm_op.h: HYPERVISOR_dm_op', XEN_EPERM, 'device models of HVM domains only', O.dmOperations),
	refused(X.__HYPERVISOR_hypfs_op, 'hypfs_op', 'hypfs.h: HYPERVISOR_hypfs_op', XEN_EPERM, 'control domain only', O.hypfsOperations),
	refused(X.__HYPERVISOR_arch_0, 'mca', 'arch-x86/xen-mca.h: HYPERVISOR_mca', XEN_EPERM, 'hardware domain only', O.mcaOperations),
	refused(X.__HYPERVISOR_arch_1, 'paging_domctl_cont', 'xen.h: __HYPERVISOR_arch_1', XEN_EPERM, 'control domain only'),
	...[
		X.__HYPERVISOR_arch_2,
		X.__HYPERVISOR_arch_3,
		X.__HYPERVISOR_arch_4,
		X.__HYPERVISOR_arch_5,
		X.__HYPERVISOR_arch_6,
		X.__HYPERVISOR_arch_7,
	].map((number) =>
		absent(number, `arch_${number - X.__HYPERVISOR_arch_0}`, `xen.h: __HYPERVISOR_arch_${number - X.__HYPERVISOR_arch_0}`, 'unused on x86'),
	),
]
