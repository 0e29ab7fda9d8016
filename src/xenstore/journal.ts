/**
 * What a store that outlives its process has written down: records, each of which takes effect as a whole, in order. Applied to an empty
 * store they give its nodes, limits and introduced domains, and of each domain's conversation over its ring the watches, the open
 * transactions' ids and what was answered. A store's own records (its snapshot) are of the same kinds.
 *
 * A request of a guest takes effect once, though its server is killed at any moment:
 * - The hypervisor keeps a request until it has its answer as a whole (xenctrl/kept_ring.ts), and gives all that it keeps to the next
 *   server, with the number of the first. Requests are numbered from 0 in each conversation.
 * - What a request changes is in one record with the request's number and its answer, appended before anyone hears of it.
 * - A request whose answer is on record is answered with that; any other has changed nothing, and is served.
 *
 * A transaction that was open goes on under its id, on the store as it is, and ends with EAGAIN: its client begins again. The connections
 * of dom0's programs end with their server, and so do their watches and transactions.
 */
import { decodeLatin1, writeLatin1 } from './bytes.ts'
import type { Path } from './path.ts'
import { formatPermissions, type Permissions, parsePermissions } from './permissions.ts'
import type { Edit } from './tree.ts'

/** Answers that are kept for each conversation: more than the hypervisor keeps requests. */
export const KEPT_ANSWERS = 256

/** Domain, number in its conversation, and the answer: an Errno, or the payload without its nul. */
export type RecordedRequest = readonly [domid: number, number: number, answer: string]
/** The path alone: removed with all below it. Else its new value (ISO 8859-1) and permissions. */
export type RecordedEdit = readonly [path: string] | readonly [path: string, value: string, permissions: string]

export type StoreRecord =
	| {
			readonly kind: 'edits'
			readonly edits: readonly RecordedEdit[]
			/** The transaction that ends with this. */
			readonly close?: readonly [domid: number, txId: number]
			readonly request?: RecordedRequest
	  }
	| { readonly kind: 'open'; readonly domid: number; readonly txId: number; readonly request?: RecordedRequest }
	| {
			readonly kind: 'watch'
			readonly domid: number
			/** As the watcher gave it. */
			readonly path: string
			readonly token: string
			readonly depth?: number
			readonly request?: RecordedRequest
	  }
	| { readonly kind: 'unwatch'; readonly domid: number; readonly path: string; readonly token: string; readonly request?: RecordedRequest }
	| { readonly kind: 'reset'; readonly domid: number; readonly request?: RecordedRequest }
	/** The conversation starts anew, with request 0. */
	| { readonly kind: 'converse'; readonly domid: number }
	| { readonly kind: 'answer'; readonly request: RecordedRequest }
	| { readonly kind: 'special'; readonly path: string; readonly permissions: string }
	| { readonly kind: 'limit'; readonly domid?: number; readonly name: string; readonly value: number }
	| { readonly kind: 'forget'; readonly domid: number }
	| {
			readonly kind: 'domain'
			readonly domid: number
			readonly mfn?: number
			readonly port?: number
			readonly features: number
			readonly shutdown: boolean
			readonly target?: number
	  }
	| { readonly kind: 'gone'; readonly domid: number }
	/** The last of Node.generation that was given. */
	| { readonly kind: 'generation'; readonly last: number }

/** Where records go. Once append() has returned, the record outlives the process. */
export interface StoreJournal {
	append(record: StoreRecord): void
}

export function recordEdit({ path, content }: Edit): RecordedEdit {
	return content === undefined ? [path] : [path, decodeLatin1(content.value), formatRecorded(content.permissions)]
}

/** Throws when it is none. */
export function decodeEdit([path, value, permissions]: RecordedEdit): Edit {
	if (typeof path !== 'string' || path[0] !== '/') throw new Error(`a record names the path ${path}`)
	if (value === undefined || permissions === undefined) return { path: path as Path, content: undefined }
	const bytes = new Uint8Array(value.length)
	writeLatin1(bytes, 0, value)
	return { path: path as Path, content: { value: bytes, permissions: decodePermissions(permissions) } }
}

export function formatRecorded(permissions: Permissions): string {
	return permissions.length === 1 ? permissions[0].access + permissions[0].domid : formatPermissions(permissions).join(',')
}

export function decodePermissions(text: string): Permissions {
	const permissions = parsePermissions(text.split(','))
	if (permissions === undefined) throw new Error(`a record has the permissions ${text}`)
	return permissions
}
