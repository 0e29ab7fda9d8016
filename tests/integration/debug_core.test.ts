/**
 * A core of a Debian guest read by crash and by gdb with the kernel's debugging symbols. They come with the packages crash, gdb and the kernel's
 * own -dbg; where that is not installed, KERNEL_DEBUG_ROOT names a directory that it was unpacked into.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { guests, inShell, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

const { assets, skip } = await guests('cloud-6.1')
const release = /^linux-image-(\S+)/.exec(assets['cloud-6.1']?.version ?? '')?.[1]
const symbols = join(process.env.KERNEL_DEBUG_ROOT ?? '/', `usr/lib/debug/boot/vmlinux-${release}`)

function missing(): string | false {
	if (skip !== false) return skip
	const absent = ['crash', 'gdb'].filter((program) => spawnSync(program, ['--version']).error !== undefined)
	if (absent.length > 0) return `${absent.join(' and ')} not here: install it`
	return existsSync(symbols) ? false : `${symbols} is not here: install linux-image-${release}-dbg, or set KERNEL_DEBUG_ROOT`
}

/** Runs a debugger with the symbols on the core, and returns what it says. */
function debug(program: string, args: readonly string[], core: string, input = ''): string {
	const { stdout, stderr } = spawnSync(program, [...args.map((arg) => (arg === 'SYMBOLS' ? symbols : arg === 'CORE' ? core : arg))], {
		input,
		encoding: 'utf8',
		timeout: PATIENCE_MS,
		maxBuffer: 64 << 20,
	})
	return stdout + stderr
}

test("crash and gdb find a guest's kernel, tasks and registers in its core", { skip: missing(), timeout: 3 * PATIENCE_MS }, async () => {
	await using xend = new PrivateXend()
	const console = xend.start('create', '-q', '-c', xend.config('guest', assets['cloud-6.1']!, 'console=hvc0'), 'memory=128')
	await console.shown(/# /)
	// With what the shell itself takes for it, and the idle task.
	const { output } = await inShell(console, 'ls -d /proc/[0-9]* | wc -l')
	const tasks = Number(output)
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-core-'))
	try {
		const core = join(directory, 'guest.core')
		assert.equal((await xend.xm('dump-core', 'guest', core)).status, 0)

		const commands = 'list task_struct.tasks -s task_struct.comm -h init_task\nlog\nbt\nquit\n'
		const crash = debug('crash', ['--no_scroll', 'SYMBOLS', 'CORE'], core, commands)
		assert.match(crash, new RegExp(`RELEASE: ${release}\n`))
		assert.match(crash, /MEMORY: 12\d\.?\d* MB\n/)
		assert.match(crash, /Run \/init as init process/)
		assert.match(crash, /#\d+ \[[0-9a-f]+\] start_kernel at [0-9a-f]+\n/)
		// Not from "TASKS:": that is 1 with a crash before 8.0.4, which does not know a struct pid that ends with an array without a length.
		const names = [...crash.matchAll(/^ +comm = "([^"\\]+)/gm)].map(([, name]) => name)
		assert.ok(Math.abs(names.length - tasks) <= 4, `${names.length} tasks, where the guest had ${tasks}`)
		for (const name of ['swapper/0', 'init', 'kthreadd', 'xenwatch']) assert.ok(names.includes(name), name)

		const gdb = debug('gdb', ['-nx', '-batch', 'SYMBOLS', 'CORE', '-ex', 'info symbol $pc', '-ex', 'output init_uts_ns.name.release'], core)
		assert.match(gdb, /^xen_hypercall_\w+( \+ \d+)? in section \.text/m, 'it waits in a hypercall')
		assert.ok(gdb.includes(`"${release}"`))
	} finally {
		rmSync(directory, { recursive: true })
	}
})
