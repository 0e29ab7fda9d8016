import type { DomainEvent, XendClient } from './client.ts'
import { hasCode } from './errors.ts'

/** How long a stream looks for a daemon after its own has ended. */
const RECONNECT_MS = 10_000
const RECONNECT_POLL_MS = 100

/**
 * What happens to domains, from now on or since a number: it outlives its daemon when another takes its place in time, and begins there
 * after what it has seen. Ends when it is disposed of; throws with code 'unreachable' when no daemon comes. `again` may start one.
 */
export async function followEvents(
	client: XendClient,
	since?: number,
	again: () => Promise<XendClient> = async () => client,
): Promise<AsyncGenerator<DomainEvent, undefined> & AsyncDisposable> {
	let stream = await client.events(since)
	let closed = false
	async function* follow(): AsyncGenerator<DomainEvent, undefined> {
		for (let seen = stream.since; ; ) {
			try {
				for await (const event of stream) {
					seen = event.seq
					yield event
				}
			} catch (error) {
				if (!hasCode(error, 'unreachable')) throw error
			}
			if (closed) return undefined
			stream = await reconnect(again, seen)
			if (closed) await stream[Symbol.asyncDispose]()
		}
	}
	const close = async () => {
		closed = true
		await stream[Symbol.asyncDispose]()
	}
	return Object.assign(follow(), { [Symbol.asyncDispose]: close })
}

async function reconnect(again: () => Promise<XendClient>, since: number): ReturnType<XendClient['events']> {
	for (const deadline_ms = Date.now() + RECONNECT_MS; ; ) {
		try {
			return await (await again()).events(since)
		} catch (error) {
			if (!hasCode(error, 'unreachable') || Date.now() > deadline_ms) throw error
		}
		await new Promise((resolve) => setTimeout(resolve, RECONNECT_POLL_MS))
	}
}
