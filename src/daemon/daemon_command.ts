import { pathToFileURL } from 'node:url'

/** A Node process to start: its arguments and its environment. */
export interface DaemonCommand {
	readonly args: readonly string[]
	readonly env: NodeJS.ProcessEnv
}

/**
 * The daemon's process, made to stay small: domains keep most of their memory outside V8's heaps, so nothing tells V8 or malloc that a
 * hundred megabytes of theirs are garbage. `execArgv` is the caller's own.
 *
 * - Sources come stripped from a cache of our own (scripts/strip_types.mjs): with Node's, every thread would keep a second copy of each and of its code.
 * - A young generation of 1 MiB, not 16: collected often, it stays in the host's caches besides. An old one that is collected before it grows much.
 * - V8 doesn't collect once more for good measure in each thread that has come to rest: half of what the 3.5 s after a boot took (161.7 -> 80.5 ms).
 * - V8 doesn't wait two seconds, with a timer each, for every function that it has compiled, to tell nobody that there is code to be cached.
 * - malloc gives memory back; left alone it keeps what V8's compilers used in each of their threads. What the user has set stays.
 * - gc() is there for platform/node/collect_garbage.ts.
 */
export function daemonCommand(program: string, rundir: string, execArgv: readonly string[], env: NodeJS.ProcessEnv): DaemonCommand {
	const hooks = new Set([...execArgv.filter((argument) => argument.startsWith('--import=')), ...stripHook(program)])
	const { NODE_COMPILE_CACHE: _, ...kept } = env
	return {
		args: [
			'--disable-warning=ExperimentalWarning',
			'--expose-gc',
			'--max-semi-space-size=1',
			'--optimize-for-size',
			'--no-memory-reducer',
			'--wasm-caching-timeout-ms=0',
			...hooks,
			program,
		],
		env: {
			MALLOC_ARENA_MAX: '1',
			MALLOC_TRIM_THRESHOLD_: '131072',
			...kept,
			XENOTYPE_RUNDIR: rundir,
		},
	}
}

/** Of the root that the program is in, which whoever starts it need not have loaded. */
function stripHook(program: string): string[] {
	const [, root] = /^(.*)\/src\//.exec(program) ?? []
	return root === undefined ? [] : [`--import=${pathToFileURL(`${root}/scripts/strip_types.mjs`).href}`]
}
