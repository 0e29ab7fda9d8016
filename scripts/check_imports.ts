// Checks that imports in src/ point only upward in the list of layers, and that what must run in a browser imports nothing of Node.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../src', import.meta.url))

/** docs/architecture.md has the same list. Layers in one row may import each other. */
const LAYERS: readonly (readonly string[])[] = [
	['base'],
	['abi'],
	['wasm'],
	['x86'],
	['xen'],
	['xenstore'],
	['storage'],
	['net'],
	['pv'],
	['boot', 'migration'],
	['xenctrl'],
	['toolstack'],
	['platform'],
	['daemon', 'cli', 'sdk', 'web'],
]
const WITH_NODE = new Set(['platform', 'daemon', 'cli', 'sdk'])
const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*?(?:\n[^'";]*?)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

const problems: string[] = []
let files = 0
for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
	if (entry.isFile() && entry.name.endsWith('.ts') && !isForTests(entry.name)) check(join(entry.parentPath, entry.name))
}
for (const problem of problems) console.error(problem)
console.log(`imports: ${files} files, ${problems.length === 0 ? 'all point upward' : `${problems.length} wrong`}`)
process.exitCode = problems.length === 0 ? 0 : 1

/** Tests, and what only they use, may reach for anything. */
function isForTests(name: string): boolean {
	return /\.test\.ts$|^testing\.ts$|^test_|_(fixture|stress_worker)\.ts$/.test(name)
}

function check(path: string): void {
	files++
	const layer = layerOf(path)
	if (rank(layer) < 0) {
		problems.push(`${relative(src, path)}: src/${layer} is not in the list of layers`)
		return
	}
	for (const [, from, dynamic] of readFileSync(path, 'utf8').matchAll(IMPORT)) {
		const target = (from ?? dynamic) as string
		if (target.startsWith('node:') && !WITH_NODE.has(layer))
			problems.push(`${relative(src, path)}: imports ${target}, but must run without Node`)
		if (!target.startsWith('.')) continue
		const targetLayer = layerOf(resolve(dirname(path), target))
		if (WITH_NODE.has(layer) && target.endsWith('/scripts/build_core.ts')) continue
		if (targetLayer.startsWith('..')) problems.push(`${relative(src, path)}: imports ${target}, outside src`)
		else if (rank(targetLayer) > rank(layer))
			problems.push(`${relative(src, path)}: imports ${target}: src/${layer} must not know src/${targetLayer}`)
	}
}

function layerOf(path: string): string {
	return relative(src, path).split(sep)[0] as string
}

function rank(layer: string): number {
	return LAYERS.findIndex((row) => row.includes(layer))
}
