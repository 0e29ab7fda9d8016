import type { DomainEvent, XendClient } from './client.ts'
import { hasCode } from './errors.ts'
import { reconnect } from './reconnect.ts'

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
			stream = await reconnect(again, (client) => client.events(seen))
			if (closed) await stream[Symbol.asyncDispose]()
		}
	}
	const close = async () => {
		closed = true
		await stream[Symbol.asyncDispose]()
	}
	return Object.assign(follow(), { [Symbol.asyncDispose]: close })
}
