/** The programs in a Linux guest: the same kernel and initramfs in a domain of ours and in QEMU. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

const build = fileURLToPath(new URL('../build/bench', import.meta.url))
const xm = fileURLToPath(new URL('../bin/xm', import.meta.url))

export interface GuestImage {
	readonly kernel: string
	readonly ramdisk: string
}

export interface GuestRun {
	readonly boot: Boot | null
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
	const { client } = await connect(rundir)
	try {
		return await follow('domain', xm, ['create', '-q', '-c', config], { ...process.env, XENOTYPE_RUNDIR: directory })
	} finally {
		await stop(client)
		rmSync(directory, { recursive: true, force: true })
	}
}

async function stop(client: XendClient): Promise<void> {
	await client.destroy('bench').catch(() => {})
	await client.stop().catch(() => {})
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
	return follow('tcg', QEMU, args, process.env)
}

/** Reads a guest's console from a command that ends with the guest. The console is kept in build/bench for a look at what went wrong. */
async function follow(platform: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<GuestRun> {
	const start_ms = performance.now()
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
	const ended = new Promise<string>((resolve) => {
		child.on('error', (error) => resolve(error.message))
		child.on('close', (code, signal) => resolve(signal === null ? `exit status ${code}` : `ended by ${signal}`))
	})
	const lines: string[] = []
	const measurements: Measurement[] = []
	let boot: Boot | null = null
	let status: string | null = null
	const silence = setTimeout(() => child.kill(), SILENCE_MS)
	child.stderr.on('data', (chunk: Buffer) => void lines.push(chunk.toString().trimEnd()))
	createInterface({ input: child.stdout }).on('line', (line) => {
		silence.refresh()
		lines.push(line)
		if (line.includes(GUEST_READY)) boot ??= { ready_s: (performance.now() - start_ms) / 1000 }
		const measurement = parseLine(line)
		if (measurement !== null) measurements.push(measurement)
		status ??= /xenotype: exit status (\d+)/.exec(line)?.[1] ?? null
	})
	const end = await ended
	clearTimeout(silence)
	const log = join(build, `console-${platform}.log`)
	writeFileSync(log, `${lines.join('\n')}\n`)
	const problem = end === 'exit status 0' && status !== null ? null : `the guest did not finish (${end}); its console is in build/bench`
	return { boot, measurements, problem }
}
