import * as nodeModule from 'node:module'

/** Set in the process that has started over: it does not do so again, whatever it had to load. */
const MARK = 'XENOTYPE_STARTED_OVER'
const STRIPPER = 'NativeModule internal/deps/amaro/dist/index'

/**
 * Has this process forget how its sources were compiled. What Node strips and compiles is kept on disk (daemon_command.ts); but whoever finds it missing there has loaded the type
 * stripper, which stays: 10 MiB in every thread. So the process keeps what it has made and starts over, with the same PID. For the first line of a program, when
 * nothing has been opened yet. `workers` imports what its threads will run, so that they find it too.
 */
export async function startOverIfCold(workers: () => Promise<unknown> = async () => {}): Promise<void> {
	const { [MARK]: again, ...env } = process.env
	delete process.env[MARK]
	// A channel to the parent does not survive.
	if (again !== undefined || process.connected || process.execve === undefined || !hasStripper()) return
	await workers()
	nodeModule.flushCompileCache()
	process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], { ...env, [MARK]: '1' })
}

function hasStripper(): boolean {
	const { moduleLoadList } = process as { readonly moduleLoadList?: readonly string[] }
	return moduleLoadList?.includes(STRIPPER) === true
}
