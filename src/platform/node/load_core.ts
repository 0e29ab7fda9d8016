import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What builds the core from its sources, in a clone. A path, and no import: an installed package has the built core only. */
const BUILDER = new URL('../../../scripts/build_core.ts', import.meta.url).href
interface Builder {
	buildCore(report?: (line: string) => void): Promise<string>
}

const SHIPPED = fileURLToPath(new URL('../../../build/core.wasm', import.meta.url))

/** The core that an installed package brings (scripts/prepack.ts); undefined in a clone. */
export function shippedCore(): string | undefined {
	return SHIPPED.includes('/node_modules/') && existsSync(SHIPPED) ? SHIPPED : undefined
}

/** What loadCore() has to import; undefined where nothing is built. */
export async function importBuilder(): Promise<Builder | undefined> {
	return shippedCore() === undefined ? ((await import(BUILDER)) as Builder) : undefined
}

/** Compiles the processor core, building it first when its sources have changed. */
export async function loadCore(report?: (line: string) => void): Promise<WebAssembly.Module> {
	const builder = await importBuilder()
	const path = builder === undefined ? shippedCore()! : await builder.buildCore(report)
	return new WebAssembly.Module(readFileSync(path))
}
