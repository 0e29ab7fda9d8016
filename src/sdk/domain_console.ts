import { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import type { ConsoleEnd } from '../daemon/console_frames.ts'
import type { XendClient } from './client.ts'
import { ConsoleLink } from './console_link.ts'

/** What expect() and iteration keep of text that nobody has taken. */
const MAX_PENDING_CHARACTERS = 1 << 20
const SHOWN_CHARACTERS = 500

export interface ConsoleMatch {
	/** What the guest wrote before it, since the last match. */
	readonly before: string
	readonly match: string
	/** What the pattern's groups matched. */
	readonly groups: readonly (string | undefined)[]
}

/**
 * A domain's console: what is kept of its past output, then what the guest writes; what is written here is typed at it. It ends with the
 * guest, and `ending` says how; it goes on when xend is replaced. Read it in one way: with expect() and by lines (`for await`), or as
 * any other stream of bytes.
 */
export class DomainConsole extends Duplex {
	/** How the guest ended, once it has. */
	ending: ConsoleEnd | undefined
	private link: ConsoleLink | undefined
	private readonly decoder = new TextDecoder()
	private pending = ''

	static async open(client: XendClient, reference: string): Promise<DomainConsole> {
		const console = new DomainConsole()
		console.link = await ConsoleLink.open(client, reference, {
			output: (bytes) => console.push(bytes),
			failed: (error) => console.destroy(error),
			ended: (end) => {
				console.ending = end
				console.push(null)
				console.end()
			},
		})
		return console
	}

	private constructor() {
		super()
		// An error comes out of whatever reads; it is no reason to end the program of one who does not.
		this.on('error', () => {})
	}

	/**
	 * Waits until the guest has written what `pattern` matches, and takes all up to its end. Rejects with code 'timeout' or, when the
	 * guest ends first, 'console-ended'; what it has written stays to be taken.
	 */
	async expect(pattern: string | RegExp, { timeout_s = 60 }: { readonly timeout_s?: number } = {}): Promise<ConsoleMatch> {
		const deadline_ms = Date.now() + timeout_s * 1000
		for (;;) {
			const found = find(pattern, this.pending)
			if (found !== undefined) {
				this.pending = this.pending.slice(found.before.length + found.match.length)
				return found
			}
			const more = await this.more(deadline_ms)
			if (more === 'timeout') throw this.failure(`the console did not show ${pattern} within ${timeout_s} s`, 'timeout')
			if (more === 'end') throw this.failure(`the console ended without showing ${pattern}`, 'console-ended')
		}
	}

	/** The guest's lines, without their ends. */
	override async *[Symbol.asyncIterator](): AsyncGenerator<string, undefined, undefined> {
		for (;;) {
			const { before, match } = find(/\r*\n/, this.pending) ?? { before: '', match: '' }
			if (match !== '') {
				this.pending = this.pending.slice(before.length + match.length)
				yield before
			} else if ((await this.more()) === 'end') break
		}
		const rest = this.pending
		this.pending = ''
		if (rest !== '') yield rest
		return undefined
	}

	override async [Symbol.asyncDispose](): Promise<void> {
		this.destroy()
	}

	override _read(): void {
		this.link?.resume()
	}

	override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		if (this.ending === undefined) this.link!.write(chunk, done)
		else done()
	}

	override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
		this.link?.close()
		done(error)
	}

	/** Waits for more text. */
	private async more(deadline_ms = Number.POSITIVE_INFINITY): Promise<'text' | 'end' | 'timeout'> {
		for (;;) {
			const chunk = this.read() as Uint8Array | null
			if (chunk !== null) {
				this.pending = (this.pending + this.decoder.decode(chunk, { stream: true })).slice(-MAX_PENDING_CHARACTERS)
				return 'text'
			}
			if (this.errored) throw this.errored
			if (this.readableEnded || this.destroyed) return 'end'
			if (Date.now() >= deadline_ms) return 'timeout'
			await this.change(deadline_ms)
		}
	}

	/** Resolves when there may be something to read, or when it is time. */
	private change(deadline_ms: number): Promise<void> {
		return new Promise((resolve) => {
			const events = ['readable', 'end', 'close', 'error'] as const
			const done = () => {
				clearTimeout(timer)
				for (const event of events) this.off(event, done)
				resolve()
			}
			const timer = deadline_ms === Number.POSITIVE_INFINITY ? undefined : setTimeout(done, Math.max(deadline_ms - Date.now(), 0))
			for (const event of events) this.on(event, done)
		})
	}

	private failure(what: string, code: string): UserError {
		const shown = this.pending.slice(-SHOWN_CHARACTERS)
		return new UserError(`${what}${shown === '' ? '' : `; the last that it shows is:\n${shown}`}`, { code })
	}
}

function find(pattern: string | RegExp, text: string): ConsoleMatch | undefined {
	if (typeof pattern === 'string') {
		const at = text.indexOf(pattern)
		return at < 0 ? undefined : { before: text.slice(0, at), match: pattern, groups: [] }
	}
	const match = new RegExp(pattern, pattern.flags.replace(/[gy]/g, '')).exec(text)
	return match === null ? undefined : { before: text.slice(0, match.index), match: match[0], groups: match.slice(1) }
}
