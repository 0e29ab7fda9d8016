/** The same kernel and initramfs in a domain of ours and in QEMU. */
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { openRunDir } from '../src/daemon/rundir.ts'
import type { XendClient } from '../src/sdk/client.ts'
import { connect } from '../src/sdk/connect.ts'
import { type ConsoleOwner, followConsole, type GuestRun } from './guest_console.ts'
import { bootOnly, type GuestImage } from './guest_image.ts'

const QEMU = 'qemu-system-x86_64'
const STOP_LIMIT_MS = 30_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Whether a daemon has left translations in this directory's cache. */
const hasTranslations = (directory: string): boolean => readdirSync(join(directory, 'cache', 'xenotype')).includes('regions')

const xm = fileURLToPath(new URL('../bin/xm', import.meta.url))

/**
 * As a person would: `xm create -c`, with a daemon of its own, whose cache is empty. With `again`, another daemon boots the guest once more
 * with the cache that the first has filled. Throws UserError when a daemon does not start.
 */
export async function runInDomain(name: string, image: GuestImage, again: boolean): Promise<GuestRun> {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-bench-'))
	try {
		const first = await runUnderDaemon(directory, name, image)
		if (!again || first.problem !== null || !hasTranslations(directory)) return first
		const { figures, problem } = await runUnderDaemon(directory, `${name}-again`, bootOnly(image))
		return { ...first, figures: { ...first.figures, warmBoot_s: figures.boot_s }, problem }
	} finally {
		rmSync(directory, { recursive: true, force: true })
	}
}

async function runUnderDaemon(directory: string, name: string, { kernel, ramdisk, memory_MiB, work }: GuestImage): Promise<GuestRun> {
	const values = { name: 'bench', kernel, ramdisk, memory: memory_MiB, extra: `console=hvc0 ${work}`, on_crash: 'destroy' }
	const config = join(directory, 'bench')
	const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
	writeFileSync(config, lines.join(''))
	const rundir = join(directory, 'run')
	mkdirSync(rundir, { recursive: true, mode: 0o700 })
	mkdirSync(join(directory, 'cache', 'xenotype'), { recursive: true })
	const env = { ...process.env, XENOTYPE_RUNDIR: rundir, XDG_CACHE_HOME: join(directory, 'cache') }
	execFileSync(xm, ['list'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
	const paths = openRunDir({ XENOTYPE_RUNDIR: rundir })
	const { client } = await connect({ rundir: paths })
	// The daemon would outlive this process.
	const interrupted = () => void stop(client).then(() => process.exit(130))
	for (const signal of SIGNALS) process.on(signal, interrupted)
	try {
		const { pid: xend, hypervisorPid } = await client.daemon()
		const xenstored = Number(readFileSync(paths.xenstored.pid, 'utf8'))
		return await followConsole(start(xm, ['create', '-q', '-c', config], env), {
			name,
			pid: hypervisorPid,
			others: [xend, xenstored],
			memory_MiB,
		})
	} finally {
		for (const signal of SIGNALS) process.off(signal, interrupted)
		await stop(client)
	}
}

/** Returns when the daemon and its hypervisor have gone, and with them all that they have in the directory. */
async function stop(client: XendClient): Promise<void> {
	const { pid, hypervisorPid } = await client.daemon()
	await client.stop({ domains: 'destroy' }).catch(() => {})
	const running = () => [pid, hypervisorPid].filter((process) => existsSync(`/proc/${process}`))
	for (const end_ms = performance.now() + STOP_LIMIT_MS; running().length > 0; ) {
		if (performance.now() > end_ms) throw new Error(`these processes of the daemon's do not end: ${running().join(', ')}`)
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
}

/** QEMU's version, or null where it is not installed. */
export function qemuVersion(): string | null {
	const { status, stdout } = spawnSync(QEMU, ['--version'], { encoding: 'utf8' })
	return status === 0 ? (/version (\S+)/.exec(stdout)?.[1] ?? 'unknown') : null
}

const QEMU_OPTIONS = '-accel tcg -cpu qemu64 -nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot'

/** A plain PC with a serial port. */
export function runInQemu(name: string, { kernel, ramdisk, memory_MiB, work }: GuestImage): Promise<GuestRun> {
	const append = `console=ttyS0 panic=-1 ${work}`
	const args = ['-m', `${memory_MiB}`, '-kernel', kernel, '-initrd', ramdisk, '-append', append]
	const child = start(QEMU, [...QEMU_OPTIONS.split(' '), ...args], process.env)
	return followConsole(child, { name, pid: child.pid, others: [], memory_MiB })
}

function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv): ConsoleOwner {
	return spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env }) satisfies ChildProcessByStdio<null, Readable, Readable>
}
