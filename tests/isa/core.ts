import { readFileSync } from 'node:fs'
import { buildCore } from '../../scripts/build_core.ts'

/** The processor's core, built if its sources have changed; XENOTYPE_CORE names another one, already built. */
export async function loadCore(): Promise<WebAssembly.Module> {
	return WebAssembly.compile(readFileSync(process.env.XENOTYPE_CORE ?? (await buildCore())))
}
