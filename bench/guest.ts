/** The programs in a Linux guest: the same kernel and initramfs in a domain of ours and in QEMU. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { writeCpio } from '../src/boot/cpio.ts'
import { GUEST_READY } from '../src/boot/guest_init.ts'
import { openRunDir } from '../src/daemon/rundir.ts'
import type { GuestAsset } from '../src/platform/node/guest_assets.ts'
import type { XendClient } from '../src/sdk/client.ts'
import { connect } from '../src/sdk/connect.ts'
import { type Boot, type Measurement, parseLine } from './measurement.ts'
import type { BuiltProgram } from './programs.ts'

const MEMORY_MIB = 256
const QEMU = 'qemu-system-x86_64'
const ALL = '/bench/all'
/** Of silence on the console, after which a guest is given up. */
const SILENCE_MS = 180_000

/** The console is what the command writes to its standard output. */
const STDIO: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']

const build = fileURLToPath(new URL('../build/bench', import.meta.url))
const xm = fileURLToPath(new URL('../bin/xm', import.meta.url))

export interface GuestImage {
	readonly kernel: string
	readonly ramdisk: string
}

export interface GuestRun {
	readonly boot: Boot | null
	/** Part of a host CPU that the guest had while the programs ran: near 1, unless the host was busy with something else. */
	readonly cpuShare: number
	readonly measurements: readonly Measurement[]
	/** Null when all went well. */
	readonly problem: string | null
}

/** The guest's initramfs with the programs, and a script that runs each for about `time_ms`, appended to it. */
export function makeImage(asset: GuestAsset, programs: readonly BuiltProgram[], time_ms: number): GuestImage {
	const lines = programs.map(({ name }) => `/bench/${name} -t ${time_ms}\n`)
	const script = `#!/bin/sh\n# The kernel's messages would stand in the middle of what is measured.\ndmesg -n 1\n${lines.join('')}`
	const archive = writeCpio([
		{ type: 'directory', path: 'bench' },
		{ type: 'file', path: ALL.slice(1), data: Buffer.from(script), mode: 0o755 },
		...programs.map(({ name, path }) => ({ type: 'file' as const, path: `bench/${name}`, data: readFileSync(path), mode: 0o755 })),
	])
	const base = readFileSync(asset.ramdisk!)
	const ramdisk = join(build, 'initramfs.cpio')
	writeFileSync(ramdisk, Buffer.concat([base, Buffer.alloc(-base.length & 3), archive]))
	return { kernel: asset.kernel, ramdisk }
}

/** As a person would: `xm create -c`, with a daemon of its own. */
export async function runInDomain(image: GuestImage): Promise<GuestRun> {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-bench-'))
	const rundir = openRunDir({ XENOTYPE_RUNDIR: directory })
	const config = join(directory, 'bench')
	const values = { ...image, name: 'bench', memory: MEMORY_MIB, extra: `console=hvc0 xenotype.run=${ALL}`, on_crash: 'destroy' }
	writeFileSync(
		config,
		Object.entries(values)
			.map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
			.join(''),
	)
	const { client } = await connect({ rundir })
	try {
		const { pid } = await client.daemon()
		const env = { ...process.env, XENOTYPE_RUNDIR: directory }
		return await follow('domain', spawn(xm, ['create', '-q', '-c', config], { stdio: STDIO, env }), pid)
	} finally {
		await stop(client)
		rmSync(directory, { recursive: true, force: true })
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

export function runInQemu(image: GuestImage): Promise<GuestRun> {
	const append = `console=ttyS0 panic=-1 xenotype.run=${ALL}`
	const args = [...QEMU_OPTIONS.split(' '), '-m', `${MEMORY_MIB}`, '-kernel', image.kernel, '-initrd', image.ramdisk, '-append', append]
	const child = spawn(QEMU, args, { stdio: STDIO })
	return follow('tcg', child, child.pid)
}

/**
 * Reads a guest's console from a command that ends with the guest; process `pid` runs the guest.
 * The console is kept in build/bench for a look at what went wrong.
 */
async function follow(platform: string, child: ChildProcessByStdio<null, Readable, Readable>, pid: number | undefined): Promise<GuestRun> {
	const start_s = performance.now() / 1000
	const ended = new Promise<string>((resolve) => {
		child.on('error', (error) => resolve(error.message))
		child.on('close', (code, signal) => resolve(signal === null ? `exit status ${code}` : `ended by ${signal}`))
	})
	const lines: string[] = []
	const measurements: Measurement[] = []
	let ready: Moment | null = null
	let finished: Moment | null = null
	const silence = setTimeout(() => child.kill(), SILENCE_MS)
	child.stderr.on('data', (chunk: Buffer) => void lines.push(chunk.toString().trimEnd()))
	createInterface({ input: child.stdout }).on('line', (line) => {
		silence.refresh()
		lines.push(line)
		if (line.includes(GUEST_READY)) ready = now(pid)
		const measurement = parseLine(line)
		if (measurement !== null) measurements.push(measurement)
		if (line.includes('xenotype: exit status 0')) finished = now(pid)
	})
	const end = await ended
	clearTimeout(silence)
	writeFileSync(join(build, `console-${platform}.log`), `${lines.join('\n')}\n`)
	const [from, to] = [ready, finished] as [Moment | null, Moment | null]
	return {
		boot: from === null ? null : { ready_s: from.time_s - start_s },
		cpuShare: from === null || to === null ? Number.NaN : (to.cpu_s - from.cpu_s) / (to.time_s - from.time_s),
		measurements,
		problem: to !== null && end === 'exit status 0' ? null : `the guest did not finish (${end}); its console is in build/bench`,
	}
}

interface Moment {
	readonly time_s: number
	/** Time that the process has run so far. */
	readonly cpu_s: number
}

/** proc(5): utime and stime of /proc/PID/stat, in ticks of 10 ms. */
function now(pid: number | undefined): Moment {
	const stat = pid === undefined ? '' : readFileSync(`/proc/${pid}/stat`, 'utf8')
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
	return { time_s: performance.now() / 1000, cpu_s: (Number(fields[11]) + Number(fields[12])) / 100 }
}
