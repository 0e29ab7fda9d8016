/** The initramfs in which a guest runs the programs, and what it prints meanwhile. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeCpio } from '../src/boot/cpio.ts'
import type { GuestAsset } from '../src/platform/node/guest_assets.ts'
import { type Build, TICKS } from './programs.ts'

export const BUILD = fileURLToPath(new URL('../build/bench', import.meta.url))

/** Of each guest. */
export const MEMORY_MIB = 256

export interface GuestImage {
	readonly kernel: string
	readonly ramdisk: string
}

/** Goes on the kernel's command line: boot/guest_init.ts runs the script below, and powers the guest off after it. */
export const RUN_ALL = 'xenotype.run=/bench/all'

/** Lines of the script's own. It sleeps between the first two, and runs the programs after the second. */
export const MARK_IDLE = 'bench: idle'
export const MARK_PROGRAMS = 'bench: programs'
/** What init prints when the script has succeeded. */
export const MARK_DONE = 'xenotype: exit status 0'

const IDLE_S = 4

/** `dmesg -n 1`: the kernel's messages would stand in the middle of what is measured. */
function script(names: readonly string[], time_ms: number): string {
	const runs = [...names.map((name) => `${name} -t ${time_ms}`), `${TICKS} -t 1`].map((run) => `/bench/${run} || failed=1\n`)
	return `#!/bin/sh
failed=0
dmesg -n 1
grep ^MemFree: /proc/meminfo
sleep 1
echo ${MARK_IDLE}
sleep ${IDLE_S}
echo ${MARK_PROGRAMS}
${runs.join('')}exit $failed
`
}

/** Appends the programs, and the script that runs each for about `time_ms`, to the guest's own initramfs. */
export function makeImage(asset: GuestAsset, { programs, ticks }: Build, time_ms: number): GuestImage {
	const names = programs.map(({ name }) => name)
	const executable = (path: string, data: Uint8Array) => ({ type: 'file', path: `bench/${path}`, data, mode: 0o755 }) as const
	const archive = writeCpio([
		{ type: 'directory', path: 'bench' },
		executable('all', Buffer.from(script(names, time_ms))),
		executable(TICKS, readFileSync(ticks)),
		...programs.map(({ name, path }) => executable(name, readFileSync(path))),
	])
	const base = readFileSync(asset.ramdisk!)
	const ramdisk = join(BUILD, 'initramfs.cpio')
	writeFileSync(ramdisk, Buffer.concat([base, Buffer.alloc(-base.length & 3), archive]))
	return { kernel: asset.kernel, ramdisk }
}
