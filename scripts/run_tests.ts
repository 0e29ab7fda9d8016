// Runs every check, or the tiers named: node scripts/run_tests.ts [types lint imports unit isa codegen abi guest integration ...]
import { spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../src/base/errors.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name: string) => join(root, 'node_modules/.bin', name)
const node = process.execPath

interface Tier {
	readonly name: string
	/** What it found wrong in one word or two, or undefined. */
	run(): Promise<boolean>
}

const TIERS: readonly Tier[] = [
	{ name: 'types', run: () => command(bin('tsc'), ['--noEmit']) },
	{ name: 'lint', run: () => command(bin('biome'), ['check', '--colors=off', '.']) },
	{ name: 'imports', run: () => command(node, ['scripts/check_imports.ts']) },
	{ name: 'core', run: buildCore },
	tests('unit', ['src/**/*.test.ts', 'bench/*.test.ts'], 2),
	tests('abi', ['tests/abi/**/*.test.ts'], 2),
	tests('isa', ['tests/isa/**/*.test.ts'], 2),
	tests('codegen', ['tests/codegen/**/*.test.ts'], 1),
	tests('guest', ['tests/guest/**/*.test.ts'], 2),
	{ name: 'assets', run: fetchAssets },
	tests('integration', ['tests/integration/**/*.test.ts'], 2),
]

const started = Date.now()
const wanted = process.argv.slice(2)
const unknown = wanted.find((name) => !TIERS.some((tier) => tier.name === name))
if (unknown !== undefined) {
	console.error(`run_tests: there is no tier '${unknown}'; there are ${TIERS.map((tier) => tier.name).join(', ')}`)
	process.exit(2)
}
const failed: string[] = []
for (const tier of TIERS) {
	if (wanted.length > 0 && !wanted.includes(tier.name)) continue
	const began = Date.now()
	const good = await tier.run()
	if (!good) failed.push(tier.name)
	console.log(`${good ? 'ok    ' : 'FAILED'} ${tier.name} (${((Date.now() - began) / 1000).toFixed(1)} s)`)
}
const total = `${Math.floor((Date.now() - started) / 60_000)} min ${Math.round(((Date.now() - started) % 60_000) / 1000)} s`
console.log(failed.length === 0 ? `npm test: all passed in ${total}` : `npm test: FAILED in ${total}: ${failed.join(', ')}`)
process.exit(failed.length === 0 ? 0 : 1)

function command(program: string, args: readonly string[]): Promise<boolean> {
	return new Promise((resolve) => {
		// The pinned Node goes first for whatever a test starts by name.
		const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}`, NO_COLOR: '1' }
		const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
		child.on('error', (error) => {
			console.error(`${program}: ${error.message}`)
			resolve(false)
		})
		child.on('exit', (code) => resolve(code === 0))
	})
}

function tests(name: string, patterns: readonly string[], concurrency: number): Tier {
	return {
		name,
		async run() {
			const files = globSync(patterns as string[], { cwd: root })
			if (files.length === 0) return true
			const options = [
				'--disable-warning=ExperimentalWarning',
				'--test',
				'--test-reporter=./scripts/test_reporter.mjs',
				`--test-concurrency=${concurrency}`,
			]
			return command(node, [...options, ...files])
		},
	}
}

async function buildCore(): Promise<boolean> {
	return command(node, ['--disable-warning=ExperimentalWarning', 'scripts/build_core.ts'])
}

/** The guests' kernels. Without them the tests that boot one skip and say so: a host without Debian's packages is no fault. */
async function fetchAssets(): Promise<boolean> {
	if (!existsSync(join(root, 'tests/integration'))) return true
	const { ensureGuestAssets, GUEST_NAMES } = await import('../src/platform/node/guest_assets.ts')
	try {
		await ensureGuestAssets(GUEST_NAMES, (line) => console.log(`       ${line}`))
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		console.log(`       ${error.message}`)
		return error.code === 'no-apt'
	}
	return true
}
