import { CPU_STATE_SIZE } from './core/layout.ts'

/** Bytes in a page and log2 of it. */
export const PAGE_SIZE = 4096
export const PAGE_SHIFT = 12

/** The core's own static data and tables end here; see scripts/build_core.ts (--memoryBase). */
const CORE_STATIC_END = 0x0010_0000
/** Per vCPU: state block, TLBs, decode cache. The core lays out all but the state block. */
export const VCPU_AREA_SIZE = 0x0800_0000

export interface MachineShape {
	/** Frames of guest RAM, MFN 0 up. */
	readonly ramFrames: number
	/** Frames above RAM that belong to the hypervisor (shared info, grant frames, M2P ...). */
	readonly hypervisorFrames: number
	readonly vcpus: number
	/** Bytes the hypervisor keeps outside the guest's physical space (page info, event channels ...), multiple of 4096. */
	readonly hypervisorBytes: number
}

/**
 * One domain's machine: a shared WebAssembly memory that holds the vCPUs' state, the hypervisor's tables and the guest's frames.
 *
 *   0                core static data
 *   CORE_STATIC_END  vCPU areas, VCPU_AREA_SIZE each, the state block first
 *   frameAttributes  one byte a frame (FRAME_*)
 *   hypervisorBase   hypervisorBytes for src/xen
 *   frameBase        frame 0; frame n is at frameBase + n * 4096
 *
 * It can be rebuilt over the same memory in another thread from {memory, shape}.
 */
export class MachineMemory {
	readonly memory: WebAssembly.Memory
	readonly shape: MachineShape
	readonly frames: number
	readonly frameAttributes: number
	readonly hypervisorBase: number
	readonly frameBase: number
	readonly u8: Uint8Array
	readonly u16: Uint16Array
	readonly u32: Uint32Array
	readonly i32: Int32Array
	readonly f64: Float64Array
	readonly u64: BigUint64Array

	constructor(shape: MachineShape, memory?: WebAssembly.Memory) {
		this.shape = shape
		this.frames = shape.ramFrames + shape.hypervisorFrames
		this.frameAttributes = CORE_STATIC_END + shape.vcpus * VCPU_AREA_SIZE
		this.hypervisorBase = this.frameAttributes + roundUp(this.frames, PAGE_SIZE)
		this.frameBase = this.hypervisorBase + shape.hypervisorBytes
		const pages = Math.ceil((this.frameBase + this.frames * PAGE_SIZE) / 65536)
		if (pages > 65536) throw new RangeError(`a machine of ${this.frames} frames does not fit in 4 GiB of WebAssembly memory`)
		this.memory = memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
		const buffer = this.memory.buffer
		this.u8 = new Uint8Array(buffer)
		this.u16 = new Uint16Array(buffer)
		this.u32 = new Uint32Array(buffer)
		this.i32 = new Int32Array(buffer)
		this.f64 = new Float64Array(buffer)
		this.u64 = new BigUint64Array(buffer)
	}

	/** Host address of a frame's first byte. The caller has checked mfn < frames. */
	frameAddress(mfn: number): number {
		return this.frameBase + mfn * PAGE_SIZE
	}

	/** A view of one frame, 4096 bytes. */
	framePage(mfn: number): Uint8Array {
		const at = this.frameAddress(mfn)
		return this.u8.subarray(at, at + PAGE_SIZE)
	}

	/** Host address of a vCPU's state block. */
	vcpuState(vcpu: number): number {
		return CORE_STATIC_END + vcpu * VCPU_AREA_SIZE
	}

	/** Host address of a frame's attribute byte. */
	attributeAddress(mfn: number): number {
		return this.frameAttributes + mfn
	}
}

export function roundUp(value: number, unit: number): number {
	return Math.ceil(value / unit) * unit
}

if (CPU_STATE_SIZE > VCPU_AREA_SIZE) throw new Error('vCPU state exceeds its area')
