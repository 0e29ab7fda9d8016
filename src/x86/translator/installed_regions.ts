import * as L from '../core/layout.ts'
import type { Cpu, RegionExports } from '../cpu.ts'
import { PAGE_SIZE } from '../machine_memory.ts'
import type { CompiledRegion } from './compiler.ts'
import { MAX_REGIONS_A_MODULE, nameOf } from './core_imports.ts'
import { DataArena } from './data_arena.ts'
import type { LiveCode } from './live_code.ts'
import type { CodeRange } from './region_builder.ts'

/** Room in the vCPU's area for the data of regions. */
const ARENA_BYTES = 0x0200_0000
/** Part of what is there that stays when there is no room for another region. */
const KEPT = 0.85
/** Part of all room that is left to what is found to be hot. */
const ROOM = 0.25

export interface RegionLimits {
	readonly regions: number
	/** Bytes of all modules. The engine's code for them is several times as long. */
	readonly wasmBytes: number
}

/** What became of a region: it runs; its entry point is none at present; its code has changed; there is no room for it at all. */
export type Addition = 'installed' | 'kept' | 'stale' | 'too large'

/** The frame of a page, counted from the entry's; -1 when it cannot be fetched. */
export type FrameOf = (page: number) => number

/** A region that has come. */
export interface Arrival {
	/** Physical address of its entry point. */
	readonly physical: number
	readonly code: LiveCode
	/** Of the request that it is the answer to. */
	readonly id: number
	readonly region: CompiledRegion
}

/** An arrival that there is room for. */
interface Placed extends Arrival {
	/** In `arrivals`. */
	readonly n: number
	/** Of the table. */
	readonly index: number
	readonly data: number
}

/** What is told of a region that was seen to run. */
export interface SeenRegion {
	readonly id: number
	readonly isOptimised: boolean
	/** How often. */
	readonly heat: number
	/** Of the guest. */
	readonly instructions: number
}

/** A region that has a function in the table and its data in the vCPU's area. */
interface Resident {
	/** Physical address of its entry point. */
	readonly physical: number
	/** Its pages, counted from the entry's, which is the first. */
	readonly pages: readonly number[]
	readonly code: readonly CodeRange[]
	readonly index: number
	readonly data: number
	readonly dataBytes: number
	readonly wasmBytes: number
	readonly instructions: number
	/** Of the request that it is the answer to. */
	readonly id: number
	isOptimised: boolean
	/** Those that have their code in one module, it among them: it is there as long as one of them is. */
	mates: Set<Resident>
	/** When it was last seen to run, and how often. */
	seen: number
	heat: number
}

/**
 * The regions that a vCPU can run, and may have run before: a region whose way in is gone (its frame's code was dropped) is put back when its entry point is met
 * again and the bytes that it was made from are still there. Their number and size are limited: those of the frames not seen for longest are given up.
 */
export class InstalledRegions {
	evictions = 0
	private readonly cpu: Cpu
	private readonly core: RegionExports
	private readonly limits: RegionLimits
	private readonly imports: WebAssembly.Imports
	private readonly data: DataArena
	private readonly byPhysical = new Map<number, Resident[]>()
	private readonly byIndex = new Map<number, Resident>()
	private readonly byId = new Map<number, Resident>()
	/** Indices of the table that no region has. */
	private readonly indices: number[]
	private wasmBytes = 0
	private now = 0
	/** Of a region that does not run. */
	private readonly nowhere = new WebAssembly.Global({ value: 'i32' }, 0)

	constructor(cpu: Cpu, core: RegionExports, dataAt: number, limits: RegionLimits) {
		this.cpu = cpu
		this.core = core
		this.limits = limits
		this.imports = { env: { memory: cpu.machine.memory }, core: core as unknown as WebAssembly.ModuleImports }
		const first = core.table.grow(limits.regions)
		if (first + limits.regions - 1 > L.REGION_MAX_INDEX) throw new RangeError(`${limits.regions} regions are too many for the jump cache`)
		this.indices = Array.from({ length: limits.regions }, (_, n) => first + limits.regions - 1 - n)
		this.data = new DataArena(dataAt, (core.regionArena.value >>> 0) + ARENA_BYTES - dataAt, L.REC_SIZE)
	}

	/** Whether there is room for what is not known yet to be hot. */
	get hasRoom(): boolean {
		return this.indices.length > this.limits.regions * ROOM && this.wasmBytes < this.limits.wasmBytes * (1 - ROOM)
	}

	/** The region that ran last since this was asked, which counts as seen. */
	seeLast(): SeenRegion | undefined {
		const index = this.cpu.field(L.CPU_REGION_LAST)
		this.cpu.setField(L.CPU_REGION_LAST, 0)
		return this.seen(index)
	}

	/** Physical address of the entry point of a region, by its index in the table. */
	physicalOf(index: number): number | undefined {
		return this.byIndex.get(index)?.physical
	}

	/** Gives up a region, by its index in the table. */
	remove(index: number): void {
		const resident = this.byIndex.get(index)
		if (resident === undefined) return
		this.cpu.invalidateFrame(Math.floor(resident.physical / PAGE_SIZE))
		this.drop(resident)
	}

	/** The region that the entry point at a physical address runs. */
	at(physical: number): SeenRegion | undefined {
		return this.byIndex.get(this.core.regionAt(physical))
	}

	private seen(index: number): SeenRegion | undefined {
		this.now++
		const resident = index === 0 ? undefined : this.byIndex.get(index)
		if (resident === undefined) return undefined
		resident.seen = this.now
		resident.heat++
		return resident
	}

	/** Puts better code in the place of that of regions; the module has them in the order of the requests that they answered. */
	replace(ids: readonly number[], module: WebAssembly.Module): void {
		const residents = ids.map((id) => this.byId.get(id))
		const mates = new Set(residents.filter((resident) => resident !== undefined))
		if (mates.size === 0) return
		const exports = this.instantiate(module, new Map(residents.map((resident, place) => [place, resident?.data ?? 0])))
		for (const [place, resident] of residents.entries()) {
			if (resident === undefined) continue
			this.core.table.set(resident.index, exports[nameOf(place)])
			resident.isOptimised = true
			resident.mates.delete(resident)
			resident.mates = mates
		}
	}

	/** Installs the region that was made before for these bytes at this entry point, if there is one. */
	reinstall(physical: number, frameOf: FrameOf): boolean {
		return this.byPhysical.get(physical)?.some((resident) => this.install(resident, frameOf)) ?? false
	}

	/** Regions that an entry point has had with other bytes, or has. */
	count(physical: number): number {
		return this.byPhysical.get(physical)?.length ?? 0
	}

	/** Takes regions in and installs them, but for those whose code is not what they were made from any more. Those with one module share its instance. */
	add(arrivals: readonly Arrival[]): Addition[] {
		const additions: Addition[] = arrivals.map(() => 'stale')
		const byModule = new Map<WebAssembly.Module, Placed[]>()
		for (const [n, arrival] of arrivals.entries()) {
			const { code, region } = arrival
			if (!this.isCurrent(region.code, (page) => code.frameOf(page))) continue
			const room = this.makeRoom(region)
			if (room === undefined) {
				additions[n] = 'too large'
				continue
			}
			const placed = byModule.get(region.module) ?? []
			byModule.set(region.module, placed)
			placed.push({ ...arrival, n, ...room })
		}
		for (const [module, placed] of byModule) {
			const exports = this.instantiate(module, new Map(placed.map(({ region, data }) => [region.place, data])))
			const mates = new Set<Resident>()
			for (const one of placed) {
				this.core.table.set(one.index, exports[nameOf(one.region.place)])
				additions[one.n] = this.settle(one, mates)
			}
		}
		return additions
	}

	/** Room for a region; others are given up for it. Undefined when that is not enough. */
	private makeRoom({ data, wasmBytes }: CompiledRegion): { readonly index: number; readonly data: number } | undefined {
		const { limits } = this
		let at = this.data.take(data.length)
		for (; at === undefined || this.indices.length === 0 || this.wasmBytes + wasmBytes > limits.wasmBytes; ) {
			if (this.byIndex.size === 0) {
				if (at !== undefined) this.data.give(at, data.length)
				return undefined
			}
			this.evict()
			at ??= this.data.take(data.length)
		}
		this.cpu.machine.u8.set(data, at)
		this.wasmBytes += wasmBytes
		return { index: this.indices.pop()!, data: at }
	}

	/** Its function is in the table. */
	private settle({ physical, code: live, id, region, index, data }: Placed, mates: Set<Resident>): Addition {
		const { pages, code, wasmBytes, instructions, isOptimised } = region
		const size = { dataBytes: region.data.length, wasmBytes }
		const resident = { physical, pages, code, index, data, ...size, instructions, id, isOptimised, mates, seen: this.now, heat: 1 }
		mates.add(resident)
		this.byIndex.set(index, resident)
		this.byId.set(id, resident)
		const list = this.byPhysical.get(physical)
		if (list === undefined) this.byPhysical.set(physical, [resident])
		else list.push(resident)
		return this.install(resident, (page) => live.frameOf(page)) ? 'installed' : 'kept'
	}

	/** `data`: where the regions at places of the module have theirs. */
	private instantiate(module: WebAssembly.Module, data: ReadonlyMap<number, number>): WebAssembly.Exports {
		const region: Record<string, WebAssembly.Global> = {}
		for (let place = 0; place < MAX_REGIONS_A_MODULE; place++)
			region[nameOf(place)] = data.has(place) ? new WebAssembly.Global({ value: 'i32' }, data.get(place)! | 0) : this.nowhere
		return new WebAssembly.Instance(module, { ...this.imports, region }).exports
	}

	/** Makes the entry point run the region, if it is one now and the code in its frames is what the region was made from. */
	private install({ physical, pages, code, index, data }: Resident, frameOf: FrameOf): boolean {
		const { core } = this
		if (!this.isCurrent(code, frameOf)) return false
		const { u32 } = this.cpu.machine
		for (const [n, page] of pages.entries()) {
			const at = (data + L.REGION_FRAMES + n * L.REGION_FRAME_SIZE) >> 2
			const mfn = frameOf(page)
			u32[at + 1] = mfn
			u32[at + 2] = core.frameVersion(mfn)
		}
		return core.installRegion(physical, index, data) !== 0
	}

	/** Protects the lines first: from then on a write drops the frame's code, so what is compared is what will run. */
	private isCurrent(code: readonly CodeRange[], frameOf: FrameOf): boolean {
		const { core, cpu } = this
		const { machine } = cpu
		for (const { page, from, bytes } of code) {
			const mfn = frameOf(page)
			if (mfn < 0) return false
			core.protectLines(mfn, from, from + bytes.length)
			if (!isSame(machine.u8, machine.frameAddress(mfn) + from, bytes)) return false
		}
		return true
	}

	/** Gives up the regions of the frames that have not been seen for longest, and those that share modules with them: only then is there room. */
	private evict(): void {
		const seen = new Map<number, number>()
		const frameOf = (resident: Resident) => Math.floor(resident.physical / PAGE_SIZE)
		for (const resident of this.byIndex.values()) {
			const mfn = frameOf(resident)
			seen.set(mfn, Math.max(seen.get(mfn) ?? 0, resident.seen))
		}
		const byAge = [...this.byIndex.values()].sort((a, b) => seen.get(frameOf(a))! - seen.get(frameOf(b))! || frameOf(a) - frameOf(b))
		const target = Math.floor(byAge.length * KEPT)
		const limit = this.wasmBytes * KEPT
		let last = -1
		for (const resident of byAge) {
			const mfn = frameOf(resident)
			if (mfn !== last && this.byIndex.size <= target && this.wasmBytes <= limit) break
			last = mfn
			for (const mate of [...resident.mates]) this.giveUp(mate)
		}
	}

	private giveUp(resident: Resident): void {
		if (this.byIndex.get(resident.index) !== resident) return
		this.cpu.invalidateFrame(Math.floor(resident.physical / PAGE_SIZE))
		this.drop(resident)
		this.evictions++
	}

	/** No entry point runs it any more. */
	private drop(resident: Resident): void {
		const { physical, index, id, data, dataBytes, wasmBytes } = resident
		resident.mates.delete(resident)
		const others = this.byPhysical.get(physical)?.filter((other) => other !== resident) ?? []
		if (others.length > 0) this.byPhysical.set(physical, others)
		else this.byPhysical.delete(physical)
		this.byIndex.delete(index)
		this.byId.delete(id)
		this.core.table.set(index, null)
		this.indices.push(index)
		this.data.give(data, dataBytes)
		this.wasmBytes -= wasmBytes
	}
}

function isSame(memory: Uint8Array, at: number, bytes: Uint8Array): boolean {
	for (let n = 0; n < bytes.length; n++) if (memory[at + n] !== bytes[n]) return false
	return true
}
