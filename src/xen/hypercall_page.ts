import { __HYPERVISOR_iret } from '../abi/xen.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'

/** Bytes of one entry: the stub of hypercall n is at 32 * n. */
const STUB_SIZE = 32

/**
 * Fills a hypercall page (4096 bytes) for a 64-bit PV guest: push %rcx; push %r11; mov $n,%eax; syscall; pop %r11; pop %rcx; ret.
 * iret's pushes %rax as well and doesn't return (struct iret_context). The rest is int3.
 */
export function writeHypercallPage(page: Uint8Array): void {
	page.fill(0xcc, 0, PAGE_SIZE)
	for (let number = 0; number < PAGE_SIZE / STUB_SIZE; number++) {
		const stub =
			number === __HYPERVISOR_iret
				? [0x51, 0x41, 0x53, 0x50, 0xb8, number, 0, 0, 0, 0x0f, 0x05]
				: [0x51, 0x41, 0x53, 0xb8, number, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3]
		page.set(stub, number * STUB_SIZE)
	}
}
