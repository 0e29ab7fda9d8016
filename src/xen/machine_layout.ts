import { PAGE_SIZE, roundUp } from '../x86/machine_memory.ts'

/** What a domain is made with; plain data, so that every thread can rebuild the same layout. */
export interface DomainDescription {
	readonly domid: number
	/** 16 bytes, as 36 characters. */
	readonly uuid: string
	readonly vcpus: number
	/** Frames that the domain may ever hold (maxmem). */
	readonly maxFrames: number
	/** Event channel ports, 0 .. maxPorts - 1 (xl: max_event_channels, default 1023 + 1). */
	readonly maxPorts: number
	/** Grant table frames at most (xl: max_grant_frames, default 64). */
	readonly maxGrantFrames: number
}

/** Bytes of one entry of each table below. */
export const PAGE_INFO_SIZE = 16
export const PORT_ENTRY_SIZE = 32
export const GRANT_ACTIVE_SIZE = 16
/** Per vCPU state of event channels: FIFO queues, a request to the control half (event_ports.ts). */
export const EVENT_VCPU_SIZE = 128
/** Host addresses of the FIFO event array's pages. */
export const EVENT_ARRAY_SIZE = 512
/** Grant mappings that a domain may hold at a time, and bytes of each (maptrack.ts). */
export const MAPTRACK_ENTRIES = 4096
export const MAPTRACK_SIZE = 16
/** Per vCPU words that other threads read or write: run state, pending work. */
export const VCPU_SHARED_SIZE = 256
export const CONTROL_BLOCK_SIZE = PAGE_SIZE

/**
 * Where the hypervisor keeps things in a domain's machine.
 *
 * Frames (MFNs) above the guest's own, readable or writable by the guest only through mappings that src/xen/mm allows:
 * shared_info, Xen's GDT page, grant frames, grant status frames, the M2P table and the page tables that map it.
 *
 * Bytes outside the guest's physical space (machine.hypervisorBase ...), never mappable: control block, vCPU shared words,
 * page info, event channel ports and state, active grants, grant mappings.
 */
export class MachineLayout {
	readonly ramFrames: number
	readonly sharedInfoMfn: number
	readonly gdtMfn: number
	readonly grantMfn: number
	readonly grantStatusMfn: number
	readonly grantStatusFrames: number
	readonly m2pMfn: number
	readonly m2pFrames: number
	/** L3 at m2pTablesMfn, L2 next, then one L1 for each 512 M2P frames. */
	readonly m2pTablesMfn: number
	readonly m2pTableFrames: number
	readonly hypervisorFrames: number
	readonly frames: number

	/** Offsets from machine.hypervisorBase, in bytes. */
	readonly controlBlock: number
	readonly vcpuShared: number
	readonly pageInfo: number
	readonly ports: number
	/** Addresses of the FIFO event array's pages, then a bitmap of maxPorts bits: events on their way to other domains (event_ports.ts). */
	readonly eventState: number
	readonly eventVcpus: number
	readonly activeGrants: number
	readonly maptrack: number
	/** u32 a frame: writable grant mappings of it by other domains (grant_pin.ts). */
	readonly writablePins: number
	/** Per vCPU, a bitmap of all frames: those that backends have written over decoded code (frame_writes.ts). */
	readonly frameWrites: number
	/** Bytes of one of these bitmaps. */
	readonly frameWritesSize: number
	readonly hypervisorBytes: number

	constructor(domain: DomainDescription) {
		this.ramFrames = domain.maxFrames
		let mfn = domain.maxFrames
		const take = (count: number) => {
			const first = mfn
			mfn += count
			return first
		}
		this.sharedInfoMfn = take(1)
		this.gdtMfn = take(1)
		this.grantMfn = take(domain.maxGrantFrames)
		// A v2 status frame (u16 an entry) serves 2048 entries of 16 bytes, i.e. eight grant frames.
		this.grantStatusFrames = Math.ceil(domain.maxGrantFrames / 8)
		this.grantStatusMfn = take(this.grantStatusFrames)
		// Sized for its own frames as well: at most one M2P frame and its share of tables for each 512 frames described.
		const described = mfn + Math.ceil(mfn / 256) + 8
		this.m2pFrames = Math.ceil((described * 8) / PAGE_SIZE)
		this.m2pMfn = take(this.m2pFrames)
		this.m2pTableFrames = 2 + Math.ceil(this.m2pFrames / 512)
		this.m2pTablesMfn = take(this.m2pTableFrames)
		this.frames = mfn
		this.hypervisorFrames = mfn - domain.maxFrames

		let at = 0
		const reserve = (bytes: number) => {
			const offset = at
			at += roundUp(bytes, PAGE_SIZE)
			return offset
		}
		this.controlBlock = reserve(CONTROL_BLOCK_SIZE)
		this.vcpuShared = reserve(domain.vcpus * VCPU_SHARED_SIZE)
		this.pageInfo = reserve(this.frames * PAGE_INFO_SIZE)
		this.ports = reserve(domain.maxPorts * PORT_ENTRY_SIZE)
		this.eventState = reserve(EVENT_ARRAY_SIZE + Math.ceil(domain.maxPorts / 32) * 4)
		this.eventVcpus = reserve(domain.vcpus * EVENT_VCPU_SIZE)
		this.activeGrants = reserve(domain.maxGrantFrames * 512 * GRANT_ACTIVE_SIZE)
		this.maptrack = reserve(MAPTRACK_ENTRIES * MAPTRACK_SIZE)
		this.writablePins = reserve(this.frames * 4)
		this.frameWritesSize = Math.ceil(this.frames / 32) * 4
		this.frameWrites = reserve(domain.vcpus * this.frameWritesSize)
		this.hypervisorBytes = at
	}
}
