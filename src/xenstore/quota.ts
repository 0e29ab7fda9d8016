import type { Usage } from './tree.ts'

/** What one unprivileged domain may use. 0 means no limit. */
export interface Limits {
	/** Nodes that the domain owns. */
	nodes: number
	watches: number
	/** Replies that the domain has not taken yet; at the limit its requests wait. */
	outstanding: number
	/** Bytes: its nodes, watches and undelivered messages. */
	memory: number
	/** Open at the same time. */
	transactions: number
	/** Operations recorded in one transaction. */
	'transaction-nodes': number
	/** Permission entries in one node. */
	'node-permissions': number
	/** Bytes, counted from below /local/domain/<domid>/. */
	'path-max': number
	/** Bytes of one node: header, permissions, value and children's names. */
	'node-size': number
}

export type QuotaName = keyof Limits

/** As the C xenstored has them. */
export const DEFAULT_LIMITS: Readonly<Limits> = {
	nodes: 1000,
	watches: 128,
	outstanding: 20,
	memory: 2.5 * 1024 * 1024,
	transactions: 10,
	'transaction-nodes': 1024,
	'node-permissions': 5,
	'path-max': 2048,
	'node-size': 2048,
}

export function isQuotaName(name: string): name is QuotaName {
	return Object.hasOwn(DEFAULT_LIMITS, name)
}

export function exceeds(limit: number, value: number): boolean {
	return limit !== 0 && value > limit
}

/** What a domain uses beside its nodes. */
export interface Account {
	watches: number
	transactions: number
	/** Bytes of watches and of messages that wait for delivery. */
	bytes: number
}

export function emptyAccount(): Account {
	return { watches: 0, transactions: 0, bytes: 0 }
}

export function memoryExceeded(limits: Limits, usage: Usage, account: Account, added_bytes: number): boolean {
	return exceeds(limits.memory, usage.bytes + account.bytes + added_bytes)
}
