import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../src/base/errors.ts'
import { GUEST_READY } from '../../src/boot/guest_init.ts'
import { openRunDir } from '../../src/daemon/rundir.ts'
import { ensureGuestAssets } from '../../src/platform/node/guest_assets.ts'
import { XendClient } from '../../src/sdk/client.ts'

// xm, the daemon and a real kernel, as a person uses them: every command through bin/xm.

const root = fileURLToPath(new URL('../..', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
const rundir = openRunDir({ XENOTYPE_RUNDIR: join(directory, 'run') })
const env = { ...process.env, XENOTYPE_RUNDIR: rundir.path }
const client = new XendClient(rundir.socket)
const BOOT_TIMEOUT_MS = 240_000

const guest = await ensureGuestAssets(['cloud-6.1'], () => {}).catch((error: unknown) => {
	if (error instanceof UserError) return error.message
	throw error
})
const skip = typeof guest === 'string' ? guest : false

function config(name: string, more = ''): string {
	const path = join(directory, name)
	const { kernel, ramdisk } = (guest as Exclude<typeof guest, string>)['cloud-6.1']!
	writeFileSync(path, `kernel = '${kernel}'\nramdisk = "${ramdisk}"\nmemory = 128\nextra = 'console=hvc0'\n${more}`)
	return path
}

interface Running {
	readonly child: ChildProcess
	out: string
	err: string
	readonly status: Promise<number | null>
	/** Resolves once stdout has shown `text`. */
	shown(text: string): Promise<void>
}

function start(program: string, args: readonly string[], typed: 'nothing' | 'pipe' = 'nothing'): Running {
	const child = spawn(program, args, { cwd: root, env, stdio: [typed === 'pipe' ? 'pipe' : 'ignore', 'pipe', 'pipe'] })
	const running: Running = {
		child,
		out: '',
		err: '',
		status: new Promise((resolve) => child.on('close', resolve)),
		shown(text) {
			return new Promise((resolve, reject) => {
				const look = () => running.out.includes(text) && resolve()
				child.stdout!.on('data', look)
				child.on('close', () => reject(new Error(`ended without showing ${JSON.stringify(text)}:\n${running.out}\n${running.err}`)))
				look()
			})
		},
	}
	child.stdout!.on('data', (chunk: Buffer) => {
		running.out += chunk.toString('utf8')
	})
	child.stderr!.on('data', (chunk: Buffer) => {
		running.err += chunk.toString('utf8')
	})
	return running
}

async function xm(...args: string[]): Promise<{ status: number | null; out: string; err: string }> {
	const running = start('bin/xm', args)
	return { status: await running.status, out: running.out, err: running.err }
}

async function row(name: string): Promise<string | undefined> {
	return (await xm('list')).out.split('\n').find((line) => line.startsWith(`${name} `))
}

function isAlive(pid: number): boolean {
	try {
		return process.kill(pid, 0)
	} catch {
		return false
	}
}

after(async () => {
	await client.stop({ domains: 'destroy' }).catch(() => {})
	rmSync(directory, { recursive: true, force: true })
})

test('npm start without a terminal shows the guest’s own words, exits 0 and leaves no daemon', {
	skip,
	timeout: BOOT_TIMEOUT_MS,
}, async () => {
	const running = start(process.execPath, ['scripts/start.mjs'])
	const status = await running.status
	const { out, err } = running
	assert.equal(status, 0, err)
	assert.match(out, /Linux domU 6\.\d+.* x86_64 GNU\/Linux\r?\nprocessor\t: 0\r?\nvendor_id\t: AuthenticAMD/)
	assert.match(out, /\nxen\r?\n\d+\.\d\d \d+\.\d\d\r?\n/)
	assert.match(out, /System halted/)
	await assert.rejects(client.daemon(), /Unable to connect to xend/)
})

test('a domain lives: created, typed at, paused, rebooted, shut down', { skip, timeout: 2 * BOOT_TIMEOUT_MS }, async () => {
	const path = config('life')
	const created = await xm('create', path)
	assert.deepEqual([created.status, created.out], [0, `Using config file "${path}".\nStarted domain life (id=1)\n`], created.err)
	assert.match((await row('life'))!, /^life {37} {4}1 {3}128 {5}1 {5}[r-][b-]---- /, 'running, blocked or, at first, neither')

	const console = start('bin/xm', ['console', 'life'], 'pipe')
	await console.shown(GUEST_READY)
	await console.shown('/# ')
	console.child.stdin!.write('echo $((6 * 7)) and out\r')
	await console.shown('42 and out')

	assert.equal((await xm('pause', 'life')).status, 0)
	const paused = await row('life')
	assert.match(paused!, / --p--- /)
	assert.equal(await row('life'), paused, 'no time passes for it')
	assert.equal((await xm('unpause', '1')).status, 0)
	console.child.stdin!.write('echo again $((6 * 7))\r')
	await console.shown('again 42')

	const killed = start('bin/xm', ['console', 'life'])
	await killed.shown('42 and out')
	killed.child.kill('SIGKILL')
	await killed.status

	assert.deepEqual(await xm('reboot', '-w', 'life'), { status: 0, out: 'Domain life rebooted\nAll domains rebooted\n', err: '' })
	assert.equal(await console.status, 0, 'the console ends with its domain')
	assert.equal((await xm('domid', 'life')).out, '2\n')

	const second = start('bin/xm', ['console', '2'])
	await second.shown(GUEST_READY)
	await second.shown('/# ')
	assert.deepEqual(await xm('shutdown', '-w', 'life'), { status: 0, out: 'Domain life terminated\nAll domains terminated\n', err: '' })
	assert.equal(await second.status, 0)
	assert.equal(await row('life'), undefined)
})

test('xm create -c exits 1 with the reason when the guest’s kernel panics', { skip, timeout: BOOT_TIMEOUT_MS }, async () => {
	const path = config('panic', "extra = 'console=hvc0 rdinit=/nowhere'\non_crash = 'destroy'\n")
	const { status, out, err } = await xm('create', '-c', path)
	assert.match(out, /Kernel panic - not syncing/)
	assert.equal(status, 1)
	assert.match(err, /Error: Domain 'panic' has crashed/)
})

test('what cannot be booted is refused, and nothing of it is left', { skip, timeout: 60_000 }, async () => {
	const path = config('wrong')
	await xm('list')
	assert.deepEqual(await xm('create', '-q', path, 'kernel=/nowhere'), {
		status: 1,
		out: '',
		err: 'Error: Kernel image does not exist: /nowhere\n',
	})
	assert.deepEqual(await xm('create', '-q', path, 'ramdisk=/nowhere'), {
		status: 1,
		out: '',
		err: 'Error: Kernel ramdisk does not exist: /nowhere\n',
	})
	const notKernel = await xm('create', '-q', path, `kernel=${path}`)
	assert.equal(notKernel.status, 1)
	assert.match(notKernel.err, /^Error: .*(kernel|image)/)
	const small = await xm('create', '-q', path, 'memory=16')
	assert.match(small.err, /^Error: .* more than the 16 MiB that the domain has/)
	assert.equal((await client.list()).length, 1)
})

test('a daemon that is told to end leaves its domains running, and the next one has them', { skip, timeout: 60_000 }, async () => {
	await xm('create', '-qp', config('last'))
	const { pid, hypervisorPid } = await client.daemon()
	process.kill(pid, 'SIGTERM')
	while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50))
	assert.match(readFileSync(rundir.log, 'utf8'), /INFO: xend ends: got SIGTERM\. Domains: 1, each stops or runs on\.\n/)
	assert.equal(isAlive(hypervisorPid), true)
	assert.match((await row('last'))!, / --p--- /)
	await client.stop({ domains: 'destroy' })
	while (isAlive(hypervisorPid)) await new Promise((resolve) => setTimeout(resolve, 50))
	assert.match(readFileSync(rundir.log, 'utf8'), /INFO: Domain last \(\d+\) destroyed\./)
})
