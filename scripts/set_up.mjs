// What npm start and npm test need before they can begin. Plain JavaScript for the Node that a machine happens to have (18 or newer):
// nothing here may import a dependency, or TypeScript.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const pinnedNode = join(root, 'node_modules/node/bin/node')
const NEEDED_MAJOR = 24

/**
 * Installs the dependencies where they are missing or old, then runs `script` (a path in the repository) with the arguments given on
 * the pinned Node, or on this one when it is new enough. Exits as the script does.
 */
export async function setUpAndRun(script, args) {
	installDependencies()
	const node = nodeMajor(process.version) >= NEEDED_MAJOR ? process.execPath : pinnedNode
	const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, script), ...args], { stdio: 'inherit', cwd: root })
	// The terminal sends Ctrl-C to both; the child decides. Other signals come to this process alone.
	process.on('SIGINT', () => {})
	for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
	child.on('error', (error) => stop(`${node} does not run: ${error.message}`))
	child.on('exit', (code, signal) => {
		process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
	})
}

function installDependencies() {
	if (!dependenciesAreCurrent()) {
		const began = Date.now()
		const fresh = !existsSync(join(root, 'node_modules'))
		say(`${fresh ? 'installing' : 'updating'} the dependencies in node_modules, once: about 350 MB, a minute or so ...`)
		const options = ['--include=dev', '--no-audit', '--no-fund']
		// A lock file that was written where some platforms' packages can't be had is refused by `npm ci`; what it says still holds.
		const failure = tryNpm([fresh ? 'ci' : 'install', ...options])
		if (failure !== undefined && !failure.includes('EUSAGE')) stop(failure)
		if (failure !== undefined) npm(['install', '--no-save', ...options])
		say(`installed in ${Math.round((Date.now() - began) / 1000)} s`)
	}
	if (nodeMajor(process.version) < NEEDED_MAJOR && !pinnedNodeRuns()) {
		say(`installing Node ${NEEDED_MAJOR} in node_modules, for this machine's is ${process.version} ...`)
		npm(['rebuild', 'node', '--ignore-scripts=false', '--foreground-scripts'])
		if (!pinnedNodeRuns())
			stop(`Node ${NEEDED_MAJOR} or newer is needed, this is ${process.version}, and the npm package "node" brought none`)
	}
}

/** Every package that the lock file asks for, but for those of other platforms, is there in the version it asks for. */
function dependenciesAreCurrent() {
	const wanted = readLock('package-lock.json')
	const present = readLock('node_modules/.package-lock.json')
	if (wanted === undefined || present === undefined) return false
	return Object.entries(wanted).every(
		([path, { version, optional }]) =>
			path === '' || optional === true || (present[path]?.version === version && existsSync(join(root, path, 'package.json'))),
	)
}

function readLock(path) {
	try {
		return JSON.parse(readFileSync(join(root, path), 'utf8')).packages
	} catch {
		return undefined
	}
}

/** Runs npm, its output kept back. Returns it with the command when that fails. */
function tryNpm(args) {
	const own = process.env.npm_execpath
	const [command, first] = own?.endsWith('.js') || own?.endsWith('.cjs') ? [process.execPath, [own]] : ['npm', []]
	const { error, status, stdout, stderr } = spawnSync(command, [...first, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 })
	if (error !== undefined) return `npm does not run: ${error.message}`
	return status === 0 ? undefined : `npm ${args.join(' ')} failed:\n${`${stdout}${stderr}`.trim()}`
}

function npm(args) {
	const failure = tryNpm(args)
	if (failure !== undefined) stop(failure)
}

function pinnedNodeRuns() {
	const { status, stdout } = spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' })
	return status === 0 && nodeMajor(stdout) >= NEEDED_MAJOR
}

function nodeMajor(version) {
	return Number(/^v?(\d+)/.exec(version)?.[1] ?? 0)
}

function say(line) {
	process.stderr.write(`xenotype: ${line}\n`)
}

function stop(line) {
	say(line)
	process.exit(1)
}
