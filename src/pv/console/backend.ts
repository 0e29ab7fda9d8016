import { XENCONS_CONNECTION, XENCONSOLE_CONNECTED } from '../../abi/io/console.ts'
import { History } from './history.ts'
import { type ConsoleChannel, ConsoleRing } from './protocol.ts'

export interface ConsoleOptions {
	/** Bytes of output kept for readers that come later. Default 1 MiB, as /local/domain/<domid>/console/limit. */
	readonly history_bytes?: number
	/** Bytes of input that may wait for the guest. Default 64 KiB. */
	readonly input_bytes?: number
}

export type ConsoleListener = (bytes: Uint8Array) => void

const DEFAULT_HISTORY_BYTES = 1024 * 1024
const DEFAULT_INPUT_BYTES = 64 * 1024

/**
 * A domain's console, as xenconsoled serves it: takes the guest's output as it comes, whether or not anyone reads, keeps the last of
 * it, and passes input on as fast as the guest takes it. It outlives its channel, so the last words of a domain can still be read.
 */
export class ConsoleBackend {
	readonly #history: History
	readonly #input_bytes: number
	readonly #listeners = new Set<ConsoleListener>()
	readonly #spaceListeners = new Set<() => void>()
	#channel: ConsoleChannel | undefined
	#in: ConsoleRing | undefined
	#out: ConsoleRing | undefined
	#waiting: Uint8Array[] = []
	#waiting_bytes = 0

	constructor(channel: ConsoleChannel, options: ConsoleOptions = {}) {
		this.#history = new History(options.history_bytes ?? DEFAULT_HISTORY_BYTES)
		this.#input_bytes = options.input_bytes ?? DEFAULT_INPUT_BYTES
		this.connect(channel)
	}

	/** Serves another page from now on: after a reboot or restore under the same console. */
	connect(channel: ConsoleChannel): void {
		this.#channel = channel
		this.#in = new ConsoleRing(channel.page, 'in')
		this.#out = new ConsoleRing(channel.page, 'out')
		channel.page[XENCONS_CONNECTION] = XENCONSOLE_CONNECTED
		this.onEvent()
	}

	/** Whether a guest is at the other end. */
	get connected(): boolean {
		return this.#channel !== undefined
	}

	/** Takes what output is left and lets go of the page. History and listeners stay; input is refused. */
	disconnect(): void {
		this.onEvent()
		this.#channel = this.#in = this.#out = undefined
		this.#waiting = []
		this.#waiting_bytes = 0
	}

	/** The guest has signalled: there is output, or room for input. */
	onEvent(): void {
		const output = this.#out?.read()
		if (output === undefined) return
		const sent = this.#sendInput()
		if (output.length > 0 || sent) this.#channel!.notify()
		if (output.length === 0) return
		this.#history.append(output)
		for (const listener of this.#listeners) listener(output)
	}

	/** Passes input to the guest. Returns how many bytes were accepted; the rest can be offered again on `onInputSpace`. */
	write(bytes: Uint8Array): number {
		if (this.#channel === undefined) return 0
		const accepted = bytes.slice(0, this.#input_bytes - this.#waiting_bytes)
		if (accepted.length === 0) return 0
		this.#waiting.push(accepted)
		this.#waiting_bytes += accepted.length
		if (this.#sendInput()) this.#channel.notify()
		return accepted.length
	}

	/** Calls `listener` with all output from now on, before that with what is kept if `replay` says so. Returns how to end it. */
	subscribe(listener: ConsoleListener, options: { replay?: boolean } = {}): () => void {
		const kept = options.replay ? this.#history.read() : undefined
		if (kept !== undefined && kept.length > 0) listener(kept)
		this.#listeners.add(listener)
		return () => void this.#listeners.delete(listener)
	}

	/** Calls `listener` whenever the guest has taken input. Returns how to end it. */
	onInputSpace(listener: () => void): () => void {
		this.#spaceListeners.add(listener)
		return () => void this.#spaceListeners.delete(listener)
	}

	/** The kept output, from a position in the whole stream on. */
	history(position = 0): { readonly start: number; readonly end: number; readonly bytes: Uint8Array } {
		return { start: Math.max(position, this.#history.start), end: this.#history.end, bytes: this.#history.read(position) }
	}

	#sendInput(): boolean {
		let sent = 0
		while (this.#waiting.length > 0) {
			const [chunk] = this.#waiting
			const taken = this.#in!.write(chunk)
			sent += taken
			if (taken < chunk.length) {
				this.#waiting[0] = chunk.subarray(taken)
				break
			}
			this.#waiting.shift()
		}
		this.#waiting_bytes -= sent
		if (sent > 0) for (const listener of this.#spaceListeners) listener()
		return sent > 0
	}
}
