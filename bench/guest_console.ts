/** Reads a guest's console, and the figures of the process that runs it, until the guest ends. */
import type { ChildProcessByStdio } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { GUEST_READY } from '../src/boot/guest_init.ts'
import { BUILD, MARK_DONE, MARK_IDLE, MARK_PROGRAMS } from './guest_image.ts'
import { cpuShare, type Moment, momentOf, type ResidentMemory, residentMemory, threadShare } from './host_process.ts'
import { type GuestFigures, type Measurement, parseLine } from './measurement.ts'

/** A command that writes a guest's console to its standard output, and ends with the guest. */
export type ConsoleOwner = ChildProcessByStdio<null, Readable, Readable>

export interface GuestRun {
	readonly figures: GuestFigures
	readonly measurements: readonly Measurement[]
	/** Null when all went well. */
	readonly problem: string | null
}

export interface GuestProcess {
	/** Names the console's copy in build/bench, for a look at what went wrong. */
	readonly name: string
	/** Of the process that runs the guest. */
	readonly pid: number | undefined
	/** Processes that are there for it: their memory and their time count too. */
	readonly others: readonly number[]
	readonly memory_MiB: number
}

/** Of silence on the console, after which a guest is given up. */
const SILENCE_MS = 300_000

const MARKS = [GUEST_READY, MARK_IDLE, MARK_PROGRAMS, MARK_DONE]

export async function followConsole(child: ConsoleOwner, guest: GuestProcess): Promise<GuestRun> {
	const seen = new Observation(guest)
	const ended = new Promise<string>((resolve) => {
		child.on('error', (error) => resolve(error.message))
		child.on('close', (code, signal) => resolve(signal === null ? `exit status ${code}` : `ended by ${signal}`))
	})
	const silence = setTimeout(() => child.kill(), SILENCE_MS)
	child.stderr.on('data', (chunk: Buffer) => void seen.lines.push(chunk.toString().trimEnd()))
	createInterface({ input: child.stdout }).on('line', (line) => {
		silence.refresh()
		seen.hear(line)
	})
	const end = await ended
	clearTimeout(silence)
	const log = `console-${guest.name}.log`
	writeFileSync(join(BUILD, log), `${seen.lines.join('\n')}\n`)
	const finished = seen.moments.has(MARK_DONE) && end === 'exit status 0'
	return {
		figures: seen.figures(),
		measurements: seen.measurements,
		problem: finished ? null : `the guest did not finish (${end}); see build/bench/${log}`,
	}
}

class Observation {
	readonly lines: string[] = []
	readonly measurements: Measurement[] = []
	readonly moments = new Map<string, Moment | null>()
	private readonly guest: GuestProcess
	private readonly start_s = performance.now() / 1000
	private ready_s = Number.NaN
	private memory: ResidentMemory | null = null
	/** When the last program ended. */
	private last: Moment | null = null

	constructor(guest: GuestProcess) {
		this.guest = guest
	}

	hear(line: string): void {
		this.lines.push(line)
		const mark = MARKS.find((text) => line.includes(text))
		const measured = parseLine(line)
		if (mark === undefined && measured === null) return
		const { pid, others, memory_MiB } = this.guest
		const now = momentOf([pid, ...others])
		if (mark !== undefined) this.moments.set(mark, now)
		if (mark === GUEST_READY) {
			this.ready_s = performance.now() / 1000
			this.memory = residentMemory(pid, others, memory_MiB)
		}
		const share = threadShare(this.last, now)
		if (measured !== null) this.measurements.push(Number.isNaN(share) ? measured : { ...measured, cpuShare: share })
		this.last = now
	}

	figures(): GuestFigures {
		const [, idle, programs, done] = MARKS.map((mark) => this.moments.get(mark) ?? null)
		return {
			boot_s: this.ready_s - this.start_s,
			warmBoot_s: Number.NaN,
			overhead_MiB: this.memory?.other_MiB ?? Number.NaN,
			touched_MiB: this.memory?.guest_MiB ?? Number.NaN,
			idleShare: cpuShare(idle!, programs!),
			ticksInteger: this.ticks('ticks_integer'),
			ticksFloating: this.ticks('ticks_floating'),
			busyShare: threadShare(programs!, done!),
		}
	}

	/** "NAME ASKED DELIVERED" (programs/ticks.h). */
	private ticks(name: string): number {
		const match = this.lines.map((line) => new RegExp(`^${name} (\\d+) (\\d+)`).exec(line)).find((found) => found !== null)
		return match ? Number(match[2]) / Number(match[1]) : Number.NaN
	}
}
