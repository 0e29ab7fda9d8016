import type { Writable } from 'node:stream'
import type { EventHistory } from './event_history.ts'

/**
 * Writes to one client what is kept after `since`, then what comes, one JSON a line. The client has a place in the history and no queue
 * of its own: one that reads too slowly, or asks for what is kept no more, gets a line that says so.
 */
export function streamEvents(history: EventHistory, out: Writable, since = history.newest): void {
	let seq = since
	let ready = write({ type: 'listening', seq })
	function write(line: object): boolean {
		return out.write(`${JSON.stringify(line)}\n`)
	}
	const pump = () => {
		while (ready) {
			const event = history.after(seq)
			if (event === undefined) return
			seq = event === 'lost' ? history.forgotten : event.seq
			ready = write(event === 'lost' ? { type: 'lost', seq } : event)
		}
	}
	out.on('drain', () => {
		ready = true
		pump()
	})
	out.on('close', history.onMore(pump))
	pump()
}
