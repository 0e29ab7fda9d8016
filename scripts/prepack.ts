// Before npm pack: compiles the processor core into the package, for AssemblyScript does not compile what is under node_modules.
import { copyFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildCore } from './build_core.ts'

copyFileSync(await buildCore(), fileURLToPath(new URL('../build/core.wasm', import.meta.url)))
