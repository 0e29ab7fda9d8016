/** The initramfs in which a guest runs the programs, and what it prints meanwhile. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CpioEntry, writeCpio } from '../src/boot/cpio.ts'
import type { GuestAsset } from '../src/platform/node/guest_assets.ts'
import { type Build, TICKS, TIMED } from './programs.ts'
import type { RealTree } from './real_packages.ts'
import { type RealProgram, timedArguments } from './real_programs.ts'

export const BUILD = fileURLToPath(new URL('../build/bench', import.meta.url))

export interface GuestImage {
	readonly kernel: string
	readonly ramdisk: string
	readonly memory_MiB: number
	/** What the guest does, on the kernel's command line; boot/guest_init.ts runs it, and powers the guest off after it. */
	readonly work: string
}

/** Of the guest whose boot, memory and idling are measured, and of the one with the real programs, which are larger. */
const MEMORY_MIB = 256
const REAL_MEMORY_MIB = 512

/** Lines of the script's own. It sleeps between the first two, and runs the programs after the second. */
export const MARK_IDLE = 'bench: idle'
export const MARK_PROGRAMS = 'bench: programs'
/** What init prints when the script has succeeded. */
export const MARK_DONE = 'xenotype: exit status 0'

const IDLE_S = 4

/** Shell words without a need for quotes but spaces. */
const quoted = (words: readonly string[]): string => words.map((word) => (word.includes(' ') ? `'${word}'` : word)).join(' ')

/** `dmesg -n 1`: the kernel's messages would stand in the middle of what is measured. */
const script = (before: string, runs: readonly string[]): string => `#!/bin/sh
failed=0
dmesg -n 1
${before}
echo ${MARK_PROGRAMS}
${runs.map((run) => `${run} || failed=1\n`).join('')}exit $failed
`

const executable = (path: string, data: Uint8Array): CpioEntry => ({ type: 'file', path: `bench/${path}`, data, mode: 0o755 })
const directory = (path: string): CpioEntry => ({ type: 'directory', path })

/** Appends the programs, and the script that runs each for about `time_ms`, to the guest's own initramfs. */
export function makeImage(asset: GuestAsset, { programs, tools }: Build, time_ms: number): GuestImage {
	const idle = `sleep 1\necho ${MARK_IDLE}\nsleep ${IDLE_S}`
	const runs = [...programs.map(({ name }) => `/bench/${name} -t ${time_ms}`), ...TICKS.map((name) => `/bench/${name} -t 1`)]
	return image(asset, 'programs', MEMORY_MIB, [
		executable('all', Buffer.from(script(idle, runs))),
		...TICKS.map((name) => executable(name, readFileSync(tools[name]))),
		...programs.map(({ name, path }) => executable(name, readFileSync(path))),
	])
}

/** The same with the real programs. */
export function makeRealImage(asset: GuestAsset, { tools }: Build, programs: readonly RealProgram[], tree: RealTree): GuestImage {
	const runs = programs.map((program) => quoted([`/bench/${TIMED}`, ...timedArguments(program, '/bench/output')]))
	return image(asset, 'real', REAL_MEMORY_MIB, [
		executable('all', Buffer.from(script('cd /bench/real', runs))),
		executable(TIMED, readFileSync(tools[TIMED])),
		directory('bench/real'),
		...filesOf(tree.directory, 'real'),
	])
}

function filesOf(from: string, path: string): CpioEntry[] {
	return readdirSync(from, { withFileTypes: true }).flatMap((entry) => {
		const [source, target] = [join(from, entry.name), `${path}/${entry.name}`]
		return entry.isDirectory() ? [directory(`bench/${target}`), ...filesOf(source, target)] : [executable(target, readFileSync(source))]
	})
}

function image(asset: GuestAsset, name: string, memory_MiB: number, entries: readonly CpioEntry[]): GuestImage {
	const archive = writeCpio([directory('bench'), ...entries])
	const base = readFileSync(asset.ramdisk!)
	const ramdisk = join(BUILD, `initramfs-${name}.cpio`)
	writeFileSync(ramdisk, Buffer.concat([base, Buffer.alloc(-base.length & 3), archive]))
	return { kernel: asset.kernel, ramdisk, memory_MiB, work: 'xenotype.run=/bench/all' }
}

/** The same guest, which only boots. */
export function bootOnly(image: GuestImage): GuestImage {
	return { ...image, work: 'xenotype.run=/bin/true' }
}
