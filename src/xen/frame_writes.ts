/**
 * Frames that another thread has written on the guest's behalf (a disk read that landed), where a processor may hold decoded code
 * of what was there before.
 *
 * Locking: none. The writer writes the frame, sets its bit for each vCPU, then wakes the vCPU; the vCPU's thread takes the bits
 * whenever it looks for work, before it runs the guest again.
 */
import { FRAME_CODE } from '../x86/core/layout.ts'
import type { Domain } from './domain.ts'
import { EVV_FRAME_WRITES, eventVcpuWord } from './event_ports.ts'
import { wakeVcpu } from './wake.ts'

const bitmapWord = (domain: Domain, vcpu: number) => domain.at(domain.layout.frameWrites + vcpu * domain.layout.frameWritesSize) >>> 2

/** Tells the vCPUs that a frame has been written. From any thread but a vCPU's own (which has cpu.invalidateFrame()). */
export function noteFrameWrite(domain: Domain, mfn: number): void {
	const { machine } = domain
	if ((Atomics.load(machine.u8, machine.attributeAddress(mfn)) & FRAME_CODE) === 0) return
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) {
		Atomics.or(machine.u32, bitmapWord(domain, vcpu) + (mfn >>> 5), 1 << (mfn & 31))
		Atomics.store(machine.u32, eventVcpuWord(domain, vcpu, EVV_FRAME_WRITES), 1)
		wakeVcpu(domain, vcpu)
	}
}

/** Calls `invalidate` for each frame written since the last call. By the vCPU's own thread, before it runs the guest. */
export function takeFrameWrites(domain: Domain, vcpu: number, invalidate: (mfn: number) => void): void {
	const { u32 } = domain.machine
	const flag = eventVcpuWord(domain, vcpu, EVV_FRAME_WRITES)
	if (Atomics.load(u32, flag) === 0 || Atomics.exchange(u32, flag, 0) === 0) return
	const first = bitmapWord(domain, vcpu)
	for (let group = 0; group < domain.layout.frameWritesSize / 4; group++) {
		if (u32[first + group] === 0) continue
		let bits = Atomics.exchange(u32, first + group, 0) | 0
		for (; bits !== 0; bits &= bits - 1) invalidate(group * 32 + (31 - Math.clz32(bits & -bits)))
	}
}
