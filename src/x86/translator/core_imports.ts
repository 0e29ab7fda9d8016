import type { Code } from '../../wasm/code.ts'
import { F64, type FunctionBody, I32, I64, ModuleBuilder, V128, type ValueType, withGlobal } from '../../wasm/module.ts'

/** Function and global indices of what a region imports from the core. */
export interface CoreImports {
	readonly readSlow: number
	readonly writeSlow: number
	readonly findSpan: number
	readonly commitWrite: number
	readonly execute: number
	readonly storeSlow: number
	readonly settle: number
	readonly settleKept: number
	readonly carryKept: number
	readonly conditionKept: number
	readonly flagsKept: number
	readonly verifyPage: number
	readonly goOn: number
	readonly callOn: number
	readonly returnOn: number
	readonly systemCall: number
	readonly raiseSimdUnavailable: number
	readonly raiseMisaligned: number
	readonly doubleArithmetic: number
	readonly singleArithmetic: number
	readonly packedDoubleArithmetic: number
	readonly packedSingleArithmetic: number
	readonly compareDoubles: number
	readonly compareSingles: number
	readonly singleToDouble: number
	readonly doubleToSingle: number
	readonly integerToDouble: number
	readonly integerToSingle: number
	readonly sseReady: number
	readonly timestamp: number
	readonly sseStatus: number
	readonly sseQuarters: number
	readonly ccKind: number
	readonly ccA: number
	readonly ccB: number
	/** Changes when decoded code is dropped. */
	readonly jumpGeneration: number
	/** Host address of the region's own data: its REGION_* fields (core/layout.ts), then its records. */
	readonly data: number
}

/** Of 64 KiB: 4 GiB. */
const MAX_MEMORY_PAGES = 65536

type Importer = (module: ModuleBuilder, name: string) => number
const f =
	(params: readonly ValueType[], results: readonly ValueType[]): Importer =>
	(module, name) =>
		module.importFunction('core', name, params, results)
const g =
	(type: ValueType): Importer =>
	(module, name) =>
		module.importGlobal('core', name, type)
/** Flags as core/flag_kinds.ts has them. */
const KEPT: readonly ValueType[] = [I32, I64, I64, I64, I64]

const IMPORTERS: Readonly<Record<keyof CoreImports, Importer>> = {
	readSlow: f([I64, I32], [I32]),
	writeSlow: f([I64, I32], [I32]),
	findSpan: f([I64, I32, I32], [I32]),
	commitWrite: f([], [I32]),
	execute: f([I32], [I32]),
	storeSlow: f([I64, I64, I32], [I32]),
	settle: f(KEPT, []),
	settleKept: f([], []),
	carryKept: f(KEPT, [I64]),
	conditionKept: f([...KEPT, I32], [I32]),
	flagsKept: f(KEPT, [I32]),
	verifyPage: f([I32, I64, I32], [I32]),
	goOn: f([I32, I64], [I32]),
	callOn: f([I32, I64, I64], [I32]),
	returnOn: f([I32, I64], [I32]),
	systemCall: f([I32, I64, I32], [I32]),
	raiseSimdUnavailable: f([], []),
	raiseMisaligned: f([], []),
	doubleArithmetic: f([I32, F64, F64], [F64]),
	singleArithmetic: f([I32, I32, I32], [I32]),
	packedDoubleArithmetic: f([I32, V128, V128], [V128]),
	packedSingleArithmetic: f([I32, V128, V128], [V128]),
	compareDoubles: f([I32, F64, F64], [I32]),
	compareSingles: f([I32, I32, I32], [I32]),
	singleToDouble: f([I32], [I64]),
	doubleToSingle: f([I64], [I32]),
	integerToDouble: f([I64], [I64]),
	integerToSingle: f([I64], [I32]),
	sseReady: f([I32, I64], []),
	timestamp: f([], [I64]),
	sseStatus: g(I32),
	sseQuarters: g(I32),
	ccKind: g(I32),
	ccA: g(I64),
	ccB: g(I64),
	jumpGeneration: g(I32),
	data: (module) => importData(module, 0),
}

/** Regions that a module may have. */
export const MAX_REGIONS_A_MODULE = 16

function importData(module: ModuleBuilder, region: number): number {
	return module.importGlobal('region', nameOf(region), I32, { mutable: false })
}

/** Of a module's region, and of the global with the host address of its data. */
export function nameOf(region: number): string {
	return `${region}`
}

function importCore(module: ModuleBuilder, memoryPages: number): CoreImports {
	module.importSharedMemory('env', 'memory', memoryPages, MAX_MEMORY_PAGES)
	return Object.fromEntries(Object.entries(IMPORTERS).map(([name, make]) => [name, make(module, name)])) as unknown as CoreImports
}

/** What a region's body uses; it is the same in every module. */
export const CORE_IMPORTS: CoreImports = importCore(new ModuleBuilder(), 1)

/** The bytes of a module of regions, each an exported function nameOf() its place. The memory has at least `memoryPages` pages of 64 KiB. */
export function regionModule(bodies: readonly FunctionBody[], memoryPages: number): Uint8Array {
	const module = new ModuleBuilder()
	const { data } = importCore(module, memoryPages)
	const globals = bodies.map((_, n) => (n === 0 ? data : importData(module, n)))
	const type = module.type([I32], [I32])
	for (const [n, body] of bodies.entries()) module.addFunction(type, withGlobal(body, data, globals[n]!), nameOf(n))
	return module.finish()
}

/** Pushes the host address of a record, by its offset in the region's data. */
export function pushRecord(code: Code, core: CoreImports, record: number): void {
	code.globalGet(core.data).i32(record).op('i32.add')
}
