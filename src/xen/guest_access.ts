import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../abi/xen.ts'
import { ACCESS_READ, ACCESS_WRITE } from '../x86/core/layout.ts'
import type { Cpu, Gva } from '../x86/cpu.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'

/**
 * Copies from the current address space as Xen's copy_from_guest() does; `va` may be any number. Returns a private copy, or null on a fault (-EFAULT).
 * The caller bounds `size`.
 */
export function copyFromGuest(cpu: Cpu, va: Gva, size: number): Uint8Array | null {
	const out = new Uint8Array(size)
	for (let done = 0; done < size; ) {
		const part = Math.min(size - done, pageRemainder(va + done))
		const host = translateGuest(cpu, va + done, ACCESS_READ)
		if (host === -1) return null
		const from = host >>> 0
		out.set(cpu.machine.u8.subarray(from, from + part), done)
		done += part
	}
	return out
}

/** Copies to the current address space; false on a fault, in which case a prefix may have been written (as in Xen). */
export function copyToGuest(cpu: Cpu, va: Gva, bytes: Uint8Array): boolean {
	for (let done = 0; done < bytes.length; ) {
		const part = Math.min(bytes.length - done, pageRemainder(va + done))
		const host = translateGuest(cpu, va + done, ACCESS_WRITE)
		if (host === -1) return false
		cpu.machine.u8.set(bytes.subarray(done, done + part), host >>> 0)
		done += part
	}
	return true
}

/**
 * Copies `into.length` words from the current address space into a buffer of the caller's; false on a fault. For frames that are read at every interrupt and
 * system call: V8 allocates anything above 64 bytes outside its heap, which costs more than the rest of the call.
 */
export function readWords(cpu: Cpu, va: Gva, into: Uint32Array): boolean {
	const size = into.length * 4
	if ((va & 3) === 0 && pageRemainder(va) >= size) {
		const host = translateGuest(cpu, va, ACCESS_READ)
		if (host === -1) return false
		const from = host >>> 2
		for (let n = 0; n < into.length; n++) into[n] = cpu.machine.u32[from + n] as number
		return true
	}
	const bytes = copyFromGuest(cpu, va, size)
	if (bytes !== null) into.set(new Uint32Array(bytes.buffer))
	return bytes !== null
}

/** Copies the first `count` words of `words` to the current address space; false on a fault, as copyToGuest(). */
export function writeWords(cpu: Cpu, va: Gva, words: Uint32Array, count: number): boolean {
	if ((va & 3) === 0 && pageRemainder(va) >= count * 4) {
		const host = translateGuest(cpu, va, ACCESS_WRITE)
		if (host === -1) return false
		const to = host >>> 2
		for (let n = 0; n < count; n++) cpu.machine.u32[to + n] = words[n] as number
		return true
	}
	return copyToGuest(cpu, va, new Uint8Array(words.buffer, words.byteOffset, count * 4))
}

/** Host address, or -1: not mapped so, not canonical, or in the range that belongs to the hypervisor (Xen's access_ok()). */
function translateGuest(cpu: Cpu, va: number, access: number): number {
	if (!isCanonical(va) || (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END)) return -1
	return cpu.translate(va, access)
}

/** Bytes from `va` to the end of its page. */
function pageRemainder(va: Gva): number {
	const offset = va % PAGE_SIZE
	return offset < 0 ? -offset : PAGE_SIZE - offset
}

/** Whether a number can be used as a Gva: an integer whose bits 63..47 are all equal. */
export function isCanonical(va: number): boolean {
	return va >= -(2 ** 47) && va < 2 ** 47
}
