import { I32, I64, type ModuleBuilder, type ValueType } from '../../wasm/module.ts'

/** Function and global indices of what a region imports from the core. */
export interface CoreImports {
	readonly readSlow: number
	readonly writeSlow: number
	readonly commitWrite: number
	readonly execute: number
	readonly carryOf: number
	readonly conditionWith: number
	readonly flagsWith: number
	readonly productOverflows: number
	readonly ccKind: number
	readonly ccA: number
	readonly ccB: number
	readonly tlbRead: number
	readonly tlbWrite: number
	readonly frameBase: number
	/** Changes when decoded code is dropped. */
	readonly jumpGeneration: number
}

/** Declares the imports, in a module that has none yet. `pages` is the memory's size. */
export function importCore(module: ModuleBuilder, pages: number): CoreImports {
	module.importSharedMemory('env', 'memory', pages, pages)
	const f = (name: string, params: readonly ValueType[], results: readonly ValueType[]) =>
		module.importFunction('core', name, params, results)
	return {
		readSlow: f('readSlow', [I64, I32], [I32]),
		writeSlow: f('writeSlow', [I64, I32], [I32]),
		commitWrite: f('commitWrite', [], [I32]),
		execute: f('execute', [I32], [I32]),
		carryOf: f('carryOf', [I32, I64, I64], [I64]),
		conditionWith: f('conditionWith', [I32, I64, I64, I32], [I32]),
		flagsWith: f('flagsWith', [I32, I64, I64], [I32]),
		productOverflows: f('productOverflows', [I64, I64, I64], [I32]),
		ccKind: module.importGlobal('core', 'ccKind', I32),
		ccA: module.importGlobal('core', 'ccA', I64),
		ccB: module.importGlobal('core', 'ccB', I64),
		tlbRead: module.importGlobal('core', 'tlbRead', I32),
		tlbWrite: module.importGlobal('core', 'tlbWrite', I32),
		frameBase: module.importGlobal('core', 'frameBase', I32),
		jumpGeneration: module.importGlobal('core', 'jumpGeneration', I32),
	}
}
