import * as L from './core/layout.ts'
import type { MachineMemory } from './machine_memory.ts'

/** What a processor has done since it was made, or since clearCounters(). Each is a count. */
export interface ProcessorCounters {
	readonly instructions: number
	/** Translated regions entered. */
	readonly regions: number
	/** Instructions that retired between entering regions and coming back, those that the core executed for it included. */
	readonly regionInstructions: number
	/** Regions by how they ended: REGION_ENDS. */
	readonly regionEnds: readonly number[]
	/** By ACCESS_*. */
	readonly tlbMisses: readonly number[]
	readonly jumpCacheMisses: number
	/** Regions left because accesses that they look up together were not in one page, or not to be made in place. */
	readonly spansRefused: number
	/** Returns that a region ended with: the return stack knew the region that they went to, or did not. */
	readonly returnsRemembered: number
	readonly returnsLookedUp: number
	/** Traces of instructions that were decoded. */
	readonly traces: number
	/** Frames whose code was dropped because it was written. */
	readonly codeDrops: number
	/** Times that the arena of decoded code was full, and emptied. */
	readonly arenaEmptied: number
	/** Returns from run(), by EXIT_*. */
	readonly exits: readonly number[]
	/** Exceptions raised, by vector. */
	readonly exceptions: readonly number[]
}

/** Outcomes of core/execute.ts, as the end of a region that came back to the interpreter. */
const OUTCOMES = ['left to the interpreter', 'fault', 'exit', 'jump', 'repeat', 'crosses a page'] as const
export const REGION_ENDS = [...OUTCOMES, 'another region'] as const
/** EXIT_*. */
export const EXIT_NAMES = ['budget', 'exception', 'syscall', 'int', 'cpuid', 'privileged'] as const
/** ACCESS_*. */
export const ACCESS_NAMES = ['read', 'write', 'exec'] as const
const VECTORS = 32

/** From any thread: what is being counted meanwhile may be seen or not. */
export function readCounters(machine: MachineMemory, vcpu: number): ProcessorCounters {
	const state = machine.vcpuState(vcpu)
	const at = (offset: number) => Number(machine.u64[(state + offset) >>> 3])
	const several = (offset: number, count: number) => Array.from({ length: count }, (_, n) => at(offset + n * 8))
	const regions = at(L.CNT_REGIONS)
	const ends = several(L.CNT_REGION_ENDS, OUTCOMES.length)
	return {
		instructions: at(L.CPU_ICOUNT) - at(L.CNT_SINCE),
		regions,
		regionInstructions: at(L.CNT_REGION_INSTRUCTIONS),
		regionEnds: [...ends, Math.max(0, regions - ends.reduce((sum, count) => sum + count, 0))],
		tlbMisses: several(L.CNT_TLB_MISSES, ACCESS_NAMES.length),
		jumpCacheMisses: at(L.CNT_JUMP_CACHE_MISSES),
		spansRefused: at(L.CNT_SPANS_REFUSED),
		returnsRemembered: at(L.CNT_RETURNS_REMEMBERED),
		returnsLookedUp: at(L.CNT_RETURNS_LOOKED_UP),
		traces: at(L.CNT_TRACES),
		codeDrops: at(L.CNT_CODE_DROPS),
		arenaEmptied: at(L.CNT_ARENA_EMPTIED),
		exits: several(L.CNT_EXITS, EXIT_NAMES.length),
		exceptions: several(L.CNT_EXCEPTIONS, VECTORS),
	}
}

export function clearCounters(machine: MachineMemory, vcpu: number): void {
	const state = machine.vcpuState(vcpu)
	machine.u8.fill(0, state + L.CPU_COUNTERS, state + L.CPU_COUNTERS_END)
	machine.u64[(state + L.CNT_SINCE) >>> 3] = machine.u64[(state + L.CPU_ICOUNT) >>> 3] as bigint
}

if (
	L.CNT_REGION_ENDS + OUTCOMES.length * 8 !== L.CNT_TLB_MISSES ||
	L.CNT_EXITS + EXIT_NAMES.length * 8 > L.CNT_EXCEPTIONS ||
	L.CNT_EXCEPTIONS + VECTORS * 8 !== L.CNT_SINCE
)
	throw new Error('counters overlap')
