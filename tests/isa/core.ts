import { readFileSync } from 'node:fs'
import { buildCore } from '../../scripts/build_core.ts'

/** The processor's core, built if its sources have changed. */
export async function loadCore(): Promise<WebAssembly.Module> {
	return WebAssembly.compile(readFileSync(await buildCore()))
}
