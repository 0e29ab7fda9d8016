import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildCore } from '../../../scripts/build_core.ts'

/** The core that an installed package brings (scripts/prepack.ts). */
const SHIPPED = fileURLToPath(new URL('../../../build/core.wasm', import.meta.url))

/** Compiles the processor core, building it first when its sources have changed. */
export async function loadCore(report?: (line: string) => void): Promise<WebAssembly.Module> {
	const installed = SHIPPED.includes('/node_modules/') && existsSync(SHIPPED)
	return new WebAssembly.Module(readFileSync(installed ? SHIPPED : await buildCore(report)))
}
