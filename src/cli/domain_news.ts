/** Waiting for what becomes of domains, though xend be killed and started meanwhile. */
import type { DomainEvent, XendClient } from '../sdk/client.ts'
import { followEvents } from '../sdk/followed_events.ts'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import type { CommandContext } from './command.ts'

/** A domain as it was when the waiting began. */
export type WatchedDomain = Pick<DomainInfo, 'name' | 'uuid'> & { readonly domid: number }

/** What has become of one of them. 'unseen': it has ended while no xend could tell how. */
export interface DomainNews {
	readonly domain: WatchedDomain
	readonly event: DomainEvent | { readonly type: 'unseen'; readonly restarted: boolean }
}

/** How long a domain may be between its end and its restart. */
const GRACE_MS = 30_000
const POLL_MS = 100

export interface NewsOf {
	/** News of these domains until it is disposed of. */
	of(domains: readonly WatchedDomain[]): AsyncGenerator<DomainNews, undefined>
	[Symbol.asyncDispose](): Promise<void>
}

/** Collects news from when it resolves. A xend that ends is started again, as by any other command. */
export async function domainNews(context: CommandContext, client: XendClient): Promise<NewsOf> {
	const events = await followEvents(client, undefined, () => context.connect())
	async function* of(domains: readonly WatchedDomain[]): AsyncGenerator<DomainNews, undefined> {
		for await (const event of events) {
			if (event.type === 'lost') yield* unseen(await settled(client, domains), domains)
			const domid = 'previous' in event ? event.previous : 'domid' in event ? event.domid : null
			const domain = domains.find((watched) => watched.domid === domid)
			if (domain !== undefined) yield { domain, event }
		}
	}
	return { of, [Symbol.asyncDispose]: async () => events[Symbol.asyncDispose]() }
}

/** What is listed once none of these is between two lives any more. A managed domain that has halted looks the same, and is given up. */
async function settled(client: XendClient, domains: readonly WatchedDomain[]): Promise<DomainInfo[]> {
	for (const end = Date.now() + GRACE_MS; ; ) {
		const listed = await client.list()
		const between = listed.some(({ uuid, domid, state }) =>
			domains.some((domain) => domain.uuid === uuid && (domid === null || isOver(state))),
		)
		if (!between || Date.now() > end) return listed
		await new Promise((resolve) => setTimeout(resolve, POLL_MS))
	}
}

function* unseen(listed: readonly DomainInfo[], domains: readonly WatchedDomain[]): Generator<DomainNews> {
	for (const domain of domains) {
		const now = listed.find(({ uuid }) => uuid === domain.uuid)
		if (now?.domid === domain.domid && !isOver(now.state)) continue
		yield { domain, event: { type: 'unseen', restarted: now !== undefined && now.domid !== null && now.domid !== domain.domid } }
	}
}

function isOver(state: string): boolean {
	return /[scd]/.test(state)
}
