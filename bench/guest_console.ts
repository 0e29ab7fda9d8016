/** Reads a guest's console, and the figures of the process that runs it, until the guest ends. */
import type { ChildProcessByStdio } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { GUEST_READY } from '../src/boot/guest_init.ts'
import { BUILD, MARK_DONE, MARK_IDLE, MARK_PROGRAMS, MEMORY_MIB } from './guest_image.ts'
import { type GuestFigures, type Measurement, parseLine } from './measurement.ts'

/** A command that writes a guest's console to its standard output, and ends with the guest. */
export type ConsoleOwner = ChildProcessByStdio<null, Readable, Readable>

export interface GuestRun {
	readonly figures: GuestFigures
	readonly measurements: readonly Measurement[]
	/** Null when all went well. */
	readonly problem: string | null
}

/** Of silence on the console, after which a guest is given up. */
const SILENCE_MS = 180_000

/** Process `pid` runs the guest. The console is kept in build/bench for a look at what went wrong. */
export async function followConsole(platform: string, child: ConsoleOwner, pid: number | undefined): Promise<GuestRun> {
	const start_s = performance.now() / 1000
	const ended = new Promise<string>((resolve) => {
		child.on('error', (error) => resolve(error.message))
		child.on('close', (code, signal) => resolve(signal === null ? `exit status ${code}` : `ended by ${signal}`))
	})
	const lines: string[] = []
	const moments = new Map<string, Moment>()
	const silence = setTimeout(() => child.kill(), SILENCE_MS)
	child.stderr.on('data', (chunk: Buffer) => void lines.push(chunk.toString().trimEnd()))
	createInterface({ input: child.stdout }).on('line', (line) => {
		silence.refresh()
		lines.push(line)
		const mark = MARKS.find((text) => line.includes(text))
		if (mark !== undefined) moments.set(mark, momentOf(pid))
	})
	const end = await ended
	clearTimeout(silence)
	writeFileSync(join(BUILD, `console-${platform}.log`), `${lines.join('\n')}\n`)
	return {
		figures: figuresOf(lines, moments, start_s),
		measurements: lines.map(parseLine).filter((measurement) => measurement !== null),
		problem:
			moments.has(MARK_DONE) && end === 'exit status 0'
				? null
				: `the guest did not finish (${end}); see build/bench/console-${platform}.log`,
	}
}

const MARKS = [GUEST_READY, MARK_IDLE, MARK_PROGRAMS, MARK_DONE]

interface Moment {
	readonly time_s: number
	/** Time that the process has run so far. */
	readonly cpu_s: number
	readonly resident_MiB: number
}

/** proc(5): utime and stime of /proc/PID/stat, in ticks of 10 ms; VmRSS of /proc/PID/status. */
function momentOf(pid: number | undefined): Moment {
	const time_s = performance.now() / 1000
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
		const resident_kB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
		return { time_s, cpu_s: (Number(fields[11]) + Number(fields[12])) / 100, resident_MiB: Number(resident_kB) / 1024 }
	} catch {
		// The process has ended already.
		return { time_s, cpu_s: Number.NaN, resident_MiB: Number.NaN }
	}
}

function figuresOf(lines: readonly string[], moments: ReadonlyMap<string, Moment>, start_s: number): GuestFigures {
	const number = (pattern: RegExp) => Number(lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined))
	const share = (from: Moment | undefined, to: Moment | undefined) =>
		from === undefined || to === undefined ? Number.NaN : (to.cpu_s - from.cpu_s) / (to.time_s - from.time_s)
	const [ready, idle, programs, done] = MARKS.map((mark) => moments.get(mark))
	const used_MiB = MEMORY_MIB - number(/^MemFree:\s+(\d+) kB/) / 1024
	return {
		boot_s: ready === undefined ? Number.NaN : ready.time_s - start_s,
		overhead_MiB: ready === undefined ? Number.NaN : ready.resident_MiB - used_MiB,
		idleShare: share(idle, programs),
		ticks: number(/^ticks \d+ (\d+)/) / number(/^ticks (\d+) \d+/),
		busyShare: share(programs, done),
	}
}
