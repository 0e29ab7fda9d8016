import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cacheDirectory } from '../platform/node/cache_directory.ts'

/** A Node process to start: its arguments and its environment. */
export interface DaemonCommand {
	readonly args: readonly string[]
	readonly env: NodeJS.ProcessEnv
}

/**
 * The daemon's process, made to stay small: domains keep most of their memory outside V8's heaps, so nothing tells V8 or malloc that a
 * hundred megabytes of theirs are garbage. `execArgv` is the caller's own.
 *
 * - Stripped and compiled modules come from a cache on disk: Node's type stripper is not loaded, which takes 10 MiB in every thread (start_over.ts).
 * - A young generation of 1 MiB, not 16: collected often, it stays in the host's caches besides. An old one that is collected before it grows much.
 * - V8 doesn't collect once more for good measure in each thread that has come to rest: 150 ms of the seconds after a boot.
 * - malloc gives memory back; left alone it keeps what V8's compilers used in each of their threads. What the user has set stays.
 * - gc() is there for platform/node/collect_garbage.ts.
 */
export function daemonCommand(program: string, rundir: string, execArgv: readonly string[], env: NodeJS.ProcessEnv): DaemonCommand {
	const hooks = new Set([...execArgv.filter((argument) => argument.startsWith('--import=')), ...packageHook(program)])
	return {
		args: [
			'--disable-warning=ExperimentalWarning',
			'--expose-gc',
			'--max-semi-space-size=1',
			'--optimize-for-size',
			'--no-memory-reducer',
			...hooks,
			program,
		],
		env: {
			NODE_COMPILE_CACHE: join(cacheDirectory(env), 'compiled'),
			MALLOC_ARENA_MAX: '2',
			MALLOC_TRIM_THRESHOLD_: '131072',
			...env,
			XENOTYPE_RUNDIR: rundir,
		},
	}
}

/** In an installed package Node runs no TypeScript by itself. A program that uses the package was not started by ours, and has no hook for it. */
function packageHook(program: string): string[] {
	const [, root] = /^(.*\/node_modules\/.*)\/src\//.exec(program) ?? []
	return root === undefined ? [] : [`--import=${pathToFileURL(join(root, 'scripts/strip_types.mjs')).href}`]
}
