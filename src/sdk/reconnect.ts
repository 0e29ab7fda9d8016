import type { XendClient } from './client.ts'
import { hasCode } from './errors.ts'

/** How long a daemon is looked for after its end. */
const RECONNECT_MS = 10_000
const RECONNECT_POLL_MS = 100

/** Does once more, with another daemon, what one has ended in. `again` may start one. Throws with code 'unreachable' when none comes in time. */
export async function reconnect<T>(again: () => Promise<XendClient>, attempt: (client: XendClient) => Promise<T>): Promise<T> {
	for (const deadline_ms = Date.now() + RECONNECT_MS; ; ) {
		try {
			return await attempt(await again())
		} catch (error) {
			if (!hasCode(error, 'unreachable') || Date.now() > deadline_ms) throw error
		}
		await new Promise((resolve) => setTimeout(resolve, RECONNECT_POLL_MS))
	}
}
