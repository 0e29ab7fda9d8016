import assert from 'node:assert/strict'
import { test } from 'node:test'
import { daemonCommand } from './daemon_command.ts'

test("daemonCommand() passes the caller's own loader hooks on, and nothing else of its options", () => {
	const { args } = daemonCommand('/main.ts', '/run', ['--import=file:///hook.mjs', '--test', '--inspect'], {})
	assert.deepEqual(args.slice(-2), ['--import=file:///hook.mjs', '/main.ts'])
	assert.equal(args.includes('--test'), false)
	assert.equal(args.includes('--inspect'), false)
})

test("daemonCommand() keeps what the user has set in the environment, but for the daemon's directory", () => {
	const { env } = daemonCommand('/main.ts', '/run', [], { XDG_CACHE_HOME: '/cache', MALLOC_ARENA_MAX: '8', XENOTYPE_RUNDIR: '/other' })
	assert.equal(env.MALLOC_ARENA_MAX, '8')
	assert.equal(env.XENOTYPE_RUNDIR, '/run')
	assert.equal(env.NODE_COMPILE_CACHE, '/cache/xenotype/compiled')
})

test('daemonCommand() has the types stripped of what is in an installed package, by one hook', () => {
	const program = '/home/x/node_modules/xenotype/src/daemon/main.ts'
	const hook = '--import=file:///home/x/node_modules/xenotype/scripts/strip_types.mjs'
	assert.deepEqual(daemonCommand(program, '/run', [], {}).args.slice(-2), [hook, program])
	assert.deepEqual(daemonCommand(program, '/run', [hook], {}).args.slice(-2), [hook, program])
})
