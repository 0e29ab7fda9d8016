/** The same kernel and initramfs in a domain of ours and in QEMU. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { openRunDir } from '../src/daemon/rundir.ts'
import type { XendClient } from '../src/sdk/client.ts'
import { connect } from '../src/sdk/connect.ts'
import { type ConsoleOwner, followConsole, type GuestRun } from './guest_console.ts'
import { type GuestImage, MEMORY_MIB, RUN_ALL } from './guest_image.ts'

const QEMU = 'qemu-system-x86_64'
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const xm = fileURLToPath(new URL('../bin/xm', import.meta.url))

/** As a person would: `xm create -c`, with a daemon of its own. Throws UserError when the daemon does not start. */
export async function runInDomain(image: GuestImage): Promise<GuestRun> {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-bench-'))
	try {
		return await runUnderDaemon(directory, image)
	} finally {
		rmSync(directory, { recursive: true, force: true })
	}
}

async function runUnderDaemon(directory: string, image: GuestImage): Promise<GuestRun> {
	const values = { ...image, name: 'bench', memory: MEMORY_MIB, extra: `console=hvc0 ${RUN_ALL}`, on_crash: 'destroy' }
	const config = join(directory, 'bench')
	const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
	writeFileSync(config, lines.join(''))
	const { client } = await connect({ rundir: openRunDir({ XENOTYPE_RUNDIR: directory }) })
	// The daemon would outlive this process.
	const interrupted = () => void stop(client).then(() => process.exit(130))
	for (const signal of SIGNALS) process.on(signal, interrupted)
	try {
		const { pid } = await client.daemon()
		const child = start(xm, ['create', '-q', '-c', config], { ...process.env, XENOTYPE_RUNDIR: directory })
		return await followConsole('domain', child, pid)
	} finally {
		for (const signal of SIGNALS) process.off(signal, interrupted)
		await stop(client)
	}
}

/** Returns when the daemon has gone, and with it all that it has in its directory. */
async function stop(client: XendClient): Promise<void> {
	const { pid } = await client.daemon()
	await client.destroy('bench').catch(() => {})
	await client.stop().catch(() => {})
	while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** QEMU's version, or null where it is not installed. */
export function qemuVersion(): string | null {
	const { status, stdout } = spawnSync(QEMU, ['--version'], { encoding: 'utf8' })
	return status === 0 ? (/version (\S+)/.exec(stdout)?.[1] ?? 'unknown') : null
}

const QEMU_OPTIONS = '-accel tcg -cpu qemu64 -nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot'

/** A plain PC with a serial port. */
export function runInQemu(image: GuestImage): Promise<GuestRun> {
	const append = `console=ttyS0 panic=-1 ${RUN_ALL}`
	const args = ['-m', `${MEMORY_MIB}`, '-kernel', image.kernel, '-initrd', image.ramdisk, '-append', append]
	const child = start(QEMU, [...QEMU_OPTIONS.split(' '), ...args], process.env)
	return followConsole('tcg', child, child.pid)
}

function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv): ConsoleOwner {
	return spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env }) satisfies ChildProcessByStdio<null, Readable, Readable>
}
