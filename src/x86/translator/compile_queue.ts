/** A request as the queue sees it. */
export interface QueuedRequest {
	readonly id: number
	readonly heat: number
}

/** What waits to be compiled, of several vCPUs: they take turns, and the hottest request of each goes first. */
export class CompileQueue<Client, Request extends QueuedRequest> {
	/** In the order of their turns. */
	private readonly waiting = new Map<Client, Map<number, { request: Request; heat: number }>>()

	get length(): number {
		let length = 0
		for (const requests of this.waiting.values()) length += requests.size
		return length
	}

	push(client: Client, request: Request): void {
		const requests = this.waiting.get(client) ?? new Map()
		this.waiting.set(client, requests)
		requests.set(request.id, { request, heat: request.heat })
	}

	/** A request that has been taken already is left alone. */
	hotter(client: Client, id: number, heat: number): void {
		const entry = this.waiting.get(client)?.get(id)
		if (entry !== undefined) entry.heat = heat
	}

	/** Forgets a request that has not been taken. */
	cancel(client: Client, id: number): void {
		const requests = this.waiting.get(client)
		if (requests?.delete(id) && requests.size === 0) this.waiting.delete(client)
	}

	/** Forgets a client and all that it waits for. */
	drop(client: Client): void {
		this.waiting.delete(client)
	}

	/** Takes the next request. */
	take(): { readonly client: Client; readonly request: Request } | undefined {
		const taken = this.takeSome(() => false)
		return taken && { client: taken.client, request: taken.requests[0]! }
	}

	/** Takes the next request and those of the same client that follow it, while there is room `for` them. */
	takeSome(hasRoomFor: (request: Request) => boolean): { readonly client: Client; readonly requests: readonly Request[] } | undefined {
		const [next] = this.waiting
		if (next === undefined) return undefined
		const [client, entries] = next
		const [first, ...others] = [...entries.values()].sort((a, b) => b.heat - a.heat).map(({ request }) => request)
		const end = others.findIndex((request) => !hasRoomFor(request))
		const requests = [first!, ...(end < 0 ? others : others.slice(0, end))]
		for (const { id } of requests) entries.delete(id)
		this.waiting.delete(client)
		if (entries.size > 0) this.waiting.set(client, entries)
		return { client, requests }
	}
}
