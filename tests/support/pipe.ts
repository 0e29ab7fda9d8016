import type { Channel, ChannelEvents, Dial } from '../../src/xenctrl/wire.ts'

/** A byte stream in this process, whose ends hear of each other in later turns. `room` is what a slow reader leaves unread. */
export class Pipe {
	readonly ends: [Channel, Channel]
	closed = false
	readonly events: [ChannelEvents | undefined, ChannelEvents | undefined] = [undefined, undefined]
	private readonly paused = [false, false]
	private readonly waiting: [Uint8Array[], Uint8Array[]] = [[], []]

	constructor() {
		this.ends = [this.end(0), this.end(1)]
	}

	close(): void {
		this.closed = true
		setImmediate(() => {
			for (const events of this.events) events?.onClose()
		})
	}

	private end(own: 0 | 1): Channel {
		const other = own === 0 ? 1 : 0
		return {
			write: (bytes) => {
				this.waiting[other].push(bytes.slice())
				setImmediate(() => this.deliver(other))
				return this.waiting[other].length < 4
			},
			pause: () => {
				this.paused[own] = true
			},
			resume: () => {
				this.paused[own] = false
				setImmediate(() => this.deliver(own))
			},
			close: () => setImmediate(() => this.closed || this.close()),
		}
	}

	private deliver(to: 0 | 1): void {
		while (!this.closed && !this.paused[to] && this.waiting[to].length > 0) this.events[to]?.onData(this.waiting[to].shift()!)
		if (this.waiting[to].length === 0) this.events[to === 0 ? 1 : 0]?.onWritable()
	}
}

/** Opens pipes to who accepts them; the newest is the last. */
export function dialer(accept: (channel: Channel) => ChannelEvents): { dial: Dial; pipes: Pipe[] } {
	const pipes: Pipe[] = []
	const dial: Dial = async (events) => {
		const pipe = new Pipe()
		pipes.push(pipe)
		pipe.events[0] = events
		pipe.events[1] = accept(pipe.ends[1])
		return pipe.ends[0]
	}
	return { dial, pipes }
}
