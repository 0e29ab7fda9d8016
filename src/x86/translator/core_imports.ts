import type { Code } from '../../wasm/code.ts'
import { F64, I32, I64, type ModuleBuilder, V128, type ValueType } from '../../wasm/module.ts'

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
	data: (module) => module.importGlobal('region', 'data', I32, { mutable: false }),
}

/** The core's exports as imports of a module that has no function yet. The memory has at least `pages` pages. Each is declared when it is first asked for. */
export function importCore(module: ModuleBuilder, pages: number): CoreImports {
	module.importSharedMemory('env', 'memory', pages, MAX_MEMORY_PAGES)
	return new Imports(module) as unknown as CoreImports
}

class Imports {
	readonly module: ModuleBuilder
	readonly indices: (number | undefined)[] = new Array<undefined>(Object.keys(IMPORTERS).length).fill(undefined)

	constructor(module: ModuleBuilder) {
		this.module = module
	}
}
for (const [n, [name, make]] of Object.entries(IMPORTERS).entries())
	Object.defineProperty(Imports.prototype, name, {
		get(this: Imports): number {
			return (this.indices[n] ??= make(this.module, name))
		},
	})

/** Pushes the host address of a record, by its offset in the region's data. */
export function pushRecord(code: Code, core: CoreImports, record: number): void {
	code.globalGet(core.data).i32(record).op('i32.add')
}
