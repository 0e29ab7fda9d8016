import assert from 'node:assert/strict'
import * as v from 'valibot'
import { ROUTES } from '../../src/daemon/routes.ts'

/** From now on in this process, a reply of the API that its schema does not describe whole is a fault of ours: the call fails with 500. */
export function checkReplies(): void {
	for (const route of ROUTES) {
		if (route.kind !== 'call' || checked.has(route)) continue
		checked.add(route)
		const { handle, reply: schema } = route
		Object.assign(route, {
			handle: async (...args: Parameters<typeof handle>) => {
				const reply = await handle(...args)
				const sent: unknown = JSON.parse(JSON.stringify(reply))
				// What a schema does not name is left out of what it gives.
				assert.deepEqual(v.parse(schema, sent), sent, `the reply of ${route.name} is not what its schema says`)
				return reply
			},
		})
	}
}

const checked = new Set<object>()
