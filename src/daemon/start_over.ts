/** Set in the process that has started over: it does not do so again for want of a cache. */
const MARK = 'XENOTYPE_STARTED_OVER'
const STRIPPER = 'NativeModule internal/deps/amaro/dist/index'

/**
 * Has this process forget how its sources were stripped. What has been stripped is kept on disk (scripts/strip_types.mjs); but whoever finds it missing there has loaded the type
 * stripper, which stays: 10 MiB in every thread. So the process starts over, with the same PID. For the first line of a program, when
 * nothing has been opened yet. `workers` imports what its threads will run, so that they find it too.
 */
export async function startOverIfCold(workers: () => Promise<unknown> = async () => {}): Promise<void> {
	const { [MARK]: again } = process.env
	delete process.env[MARK]
	if (again !== undefined || !hasStripper()) return
	await workers()
	startOver({ [MARK]: '1' })
}

/** Executes this process's program anew: what it has in memory and what it has open is gone, locks too. Returns where that cannot be done. */
export function startOver(env: NodeJS.ProcessEnv = {}): void {
	// A channel to the parent does not survive.
	if (process.connected || process.execve === undefined) return
	process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], { ...process.env, ...env })
}

function hasStripper(): boolean {
	const { moduleLoadList } = process as { readonly moduleLoadList?: readonly string[] }
	return moduleLoadList?.includes(STRIPPER) === true
}
