import { readFileSync } from 'node:fs'
import { buildCore } from '../../../scripts/build_core.ts'

/** Compiles the processor core, building it first when its sources have changed. */
export async function loadCore(report?: (line: string) => void): Promise<WebAssembly.Module> {
	return new WebAssembly.Module(readFileSync(await buildCore(report)))
}
