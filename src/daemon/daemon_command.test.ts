import assert from 'node:assert/strict'
import { test } from 'node:test'
import { daemonCommand } from './daemon_command.ts'

test("daemonCommand() passes the caller's own loader hooks on, and nothing else of its options", () => {
	const { args } = daemonCommand('/x/src/main.ts', '/run', ['--import=file:///hook.mjs', '--test', '--inspect'], {})
	assert.deepEqual(args.slice(-3), ['--import=file:///hook.mjs', '--import=file:///x/scripts/strip_types.mjs', '/x/src/main.ts'])
	assert.equal(args.includes('--test'), false)
	assert.equal(args.includes('--inspect'), false)
})

test("daemonCommand() keeps what the user has set in the environment, but for the daemon's directory and Node's compile cache", () => {
	const { env } = daemonCommand('/x/src/main.ts', '/run', [], {
		MALLOC_ARENA_MAX: '8',
		NODE_COMPILE_CACHE: '/cache',
		XENOTYPE_RUNDIR: '/other',
	})
	assert.equal(env.MALLOC_ARENA_MAX, '8')
	assert.equal(env.XENOTYPE_RUNDIR, '/run')
	assert.equal('NODE_COMPILE_CACHE' in env, false)
})

test('daemonCommand() has the types stripped by one hook, of the package or clone that the program is in', () => {
	const program = '/home/x/node_modules/xenotype/src/daemon/main.ts'
	const hook = '--import=file:///home/x/node_modules/xenotype/scripts/strip_types.mjs'
	assert.deepEqual(daemonCommand(program, '/run', [], {}).args.slice(-2), [hook, program])
	assert.deepEqual(daemonCommand(program, '/run', [hook], {}).args.slice(-2), [hook, program])
})
