import { concatenate } from '../base/bytes.ts'
import type { ConsoleBackend } from '../pv/console/backend.ts'
import type { ConsoleReader, ConsoleSession } from './interface.ts'

const CHUNK_BYTES = 64 * 1024

/** So many of those who type are remembered for each console. */
const MAX_TYPISTS = 64

/** Who types at a console, through one session after another: what the guest has taken is never typed again. */
class Typist {
	taken = 0
	session: ConsoleReading | undefined
}

export class Typists {
	private readonly consoles = new WeakMap<ConsoleBackend, Map<string, Typist>>()

	of(console: ConsoleBackend, name: string): Typist {
		const typists = this.consoles.get(console) ?? new Map<string, Typist>()
		this.consoles.set(console, typists)
		const typist = typists.get(name) ?? new Typist()
		typists.delete(name)
		typists.set(name, typist)
		for (const [oldest] of typists) if (typists.size > MAX_TYPISTS) typists.delete(oldest)
		return typist
	}
}

/**
 * A reader's place in a console's output is a position in its history, so a reader that takes nothing costs nothing: it misses what has
 * left the history meanwhile, and is told how much.
 */
export class ConsoleReading implements ConsoleSession {
	private readonly console: ConsoleBackend
	private readonly reader: ConsoleReader
	private readonly stops: (() => void)[]
	private readonly waiting: { readonly position: number; readonly resolve: () => void }[] = []
	private position: number
	private full = true
	private pumping = false
	private placed = false
	private open = true
	/** Typed, and not yet taken by the guest. */
	private untaken: Uint8Array = new Uint8Array(0)

	private readonly typist: Typist | undefined

	/** Begins so many bytes after the guest's first, or where the history does. */
	constructor(console: ConsoleBackend, reader: ConsoleReader, from = 0, typist?: Typist) {
		this.console = console
		this.reader = reader
		this.typist = typist
		// What its session before has typed and the guest has not taken comes again through this one.
		typist?.session?.close()
		if (typist !== undefined) typist.session = this
		const { start, end } = console.history()
		this.position = Math.min(Math.max(from, from === 0 ? start : from), end)
		this.stops = [console.subscribe(() => this.pump()), console.onInputSpace(() => this.offerAgain())]
	}

	write(bytes: Uint8Array): boolean {
		if (!this.open) return true
		const offered = this.untaken.length === 0 ? bytes : concatenate([this.untaken, bytes])
		// What is typed at a domain that is gone is nobody's.
		const taken = this.console.connected ? this.console.write(offered) : offered.length
		this.untaken = offered.slice(taken)
		if (this.typist !== undefined && taken > 0) {
			this.typist.taken += taken
			this.reader.taken(this.typist.taken)
		}
		return this.untaken.length === 0
	}

	resume(): void {
		this.full = false
		this.pump()
	}

	drained(): Promise<void> {
		const { end } = this.console.history()
		if (!this.open || this.position >= end) return Promise.resolve()
		return new Promise((resolve) => this.waiting.push({ position: end, resolve }))
	}

	close(): void {
		if (!this.open) return
		this.open = false
		for (const stop of this.stops) stop()
		for (const { resolve } of this.waiting.splice(0)) resolve()
	}

	private pump(): void {
		if (this.full || this.pumping) return
		this.pumping = true
		const { start, bytes } = this.console.history(this.position)
		const missed = start - this.position
		if (this.open && !this.placed && this.typist !== undefined) this.reader.taken(this.typist.taken)
		if (this.open && missed > 0) this.reader.lost(missed)
		if (this.open && (missed > 0 || !this.placed)) this.reader.place(start)
		this.placed = true
		this.position = start
		for (let at = 0; at < bytes.length && this.open && !this.full; at += CHUNK_BYTES) {
			const chunk = bytes.subarray(at, at + CHUNK_BYTES)
			this.position += chunk.length
			if (!this.reader.output(chunk)) this.full = true
		}
		this.pumping = false
		while (this.waiting.length > 0 && this.waiting[0]!.position <= this.position) this.waiting.shift()!.resolve()
	}

	private offerAgain(): void {
		if (this.untaken.length > 0 && this.write(new Uint8Array(0))) this.reader.inputSpace()
	}
}
