import { type ConsoleChannel, ConsoleRing } from './protocol.ts'

/** The guest's side of a console, for tests. */
export class ConsoleFrontend {
	readonly #channel: ConsoleChannel
	readonly #in: ConsoleRing
	readonly #out: ConsoleRing

	constructor(channel: ConsoleChannel) {
		this.#channel = channel
		this.#in = new ConsoleRing(channel.page, 'in')
		this.#out = new ConsoleRing(channel.page, 'out')
	}

	/** Writes what there is room for and signals; returns how many bytes that was. */
	write(bytes: Uint8Array): number {
		const count = this.#out.write(bytes)
		if (count > 0) this.#channel.notify()
		return count
	}

	/** Takes the input that is there and signals. */
	read(): Uint8Array {
		const bytes = this.#in.read()
		if (bytes.length > 0) this.#channel.notify()
		return bytes
	}
}
