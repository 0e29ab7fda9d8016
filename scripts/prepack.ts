// Before npm pack: puts into the package what can't be made below node_modules. There AssemblyScript compiles nothing, and Node runs no TypeScript:
// the processor core, and in dist/ the SDK as JavaScript with its declarations.
import { execFileSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildCore } from './build_core.ts'

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url))

rmSync(path('dist'), { recursive: true, force: true })
execFileSync(path('node_modules/.bin/tsc'), ['-p', path('tsconfig.sdk.json')], { stdio: 'inherit' })
copyFileSync(await buildCore(), path('build/core.wasm'))
