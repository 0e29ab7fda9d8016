/** A PV guest of a page of machine code: enough page tables for it, a page of data and a stack. */
import { readFileSync } from 'node:fs'
import { buildCore } from '../../scripts/build_core.ts'
import { hostClock } from '../../src/platform/node/host_clock.ts'
import { nodeVcpuThreads } from '../../src/platform/node/vcpu_thread.ts'
import { PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import type { DomainControl } from '../../src/xen/domain_control.ts'
import { Hypervisor } from '../../src/xen/hypervisor.ts'

/** Linear addresses of the guest's pages. */
export const CODE = 0x20_0000
export const DATA = 0x20_1000
export const STACK_TOP = 0x20_3000
const PRESENT_USER = 5
const PRESENT_RW_USER = 7
export const DATA_MFN = 2
const [CODE_MFN, STACK_MFN, L4, L3, L2, L1] = [1, 3, 8, 9, 10, 11] as const

export async function testHypervisor(): Promise<Hypervisor> {
	const core = await WebAssembly.compile(readFileSync(await buildCore(() => {})))
	const clockOrigin = process.hrtime()
	return new Hypervisor({ clock: hostClock(clockOrigin), threads: nodeVcpuThreads(core, clockOrigin) })
}

/** Makes a domain that is to run `code` with `data` beside it; paused, its thread started. */
export async function startTinyGuest(
	hypervisor: Hypervisor,
	code: readonly number[],
	data: Uint8Array = new Uint8Array(),
): Promise<DomainControl> {
	const control = await hypervisor.createDomain({ uuid: '00000000-0000-0000-0000-000000000001', vcpus: 1, memory_KiB: 4096 })
	const { machine } = control.domain
	machine.framePage(CODE_MFN).set(code)
	machine.framePage(DATA_MFN).set(data)
	const entry = (table: number, index: number, mfn: number, flags: number) => {
		machine.u32[machine.frameAddress(table) / 4 + index * 2] = mfn * PAGE_SIZE + flags
	}
	entry(L4, 0, L3, PRESENT_RW_USER)
	entry(L3, 0, L2, PRESENT_RW_USER)
	entry(L2, 1, L1, PRESENT_RW_USER)
	entry(L1, 0, CODE_MFN, PRESENT_USER)
	entry(L1, 1, DATA_MFN, PRESENT_RW_USER)
	entry(L1, 2, STACK_MFN, PRESENT_RW_USER)
	control.start({ entry: CODE, stackPointer: STACK_TOP, startInfoVa: 0, l4Mfn: L4 })
	return control
}

/** The domain's SHUTDOWN_* reason and what is said of a crash, once it has come. */
export function whenShutDown(control: DomainControl): Promise<{ reason: number; crashReason: string | undefined }> {
	return new Promise((resolve) => {
		control.onShutdown((reason, crashReason) => resolve({ reason, crashReason }))
	})
}

export const imm32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255]
/** mov edi, a; mov esi, b; mov edx, c; mov r10d, d; mov eax, number; syscall */
export const hypercall = (number: number, a = 0, b = 0, c = 0, d = 0) => [
	0xbf,
	...imm32(a),
	0xbe,
	...imm32(b),
	0xba,
	...imm32(c),
	0x41,
	0xba,
	...imm32(d),
	0xb8,
	...imm32(number),
	0x0f,
	0x05,
]
/** jmp $ */
export const SPIN = [0xeb, 0xfe]
