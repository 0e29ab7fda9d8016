import type { Errno } from './errors.ts'
import {
	decodeEdit,
	decodePermissions,
	formatRecorded,
	KEPT_ANSWERS,
	type RecordedRequest,
	recordEdit,
	type StoreJournal,
	type StoreRecord,
} from './journal.ts'
import { LiveUpdate } from './live_update.ts'
import { type Change, removeDomain, type Scope, withoutDomain } from './node_operations.ts'
import { childOf, domainPath, INTRODUCE_DOMAIN, isRelative, isSpecial, type Path, parsePath, RELEASE_DOMAIN, ROOT } from './path.ts'
import { accessBits, isPrivileged, type Permissions, READ } from './permissions.ts'
import { Precedence } from './precedence.ts'
import { type Account, DEFAULT_LIMITS, emptyAccount, exceeds, isQuotaName, type Limits, memoryExceeded, type QuotaName } from './quota.ts'
import { Session } from './session.ts'
import { type NodeOperation, type OperationResult, run, Transaction, type TransactionState } from './transaction.ts'
import { type Node, Tree } from './tree.ts'
import { type Watch, Watches } from './watches.ts'

/** A watch as its client has set it. */
export interface WatchState {
	readonly path: string
	readonly token: string
	readonly depth?: number
}

/** By domain. */
export type GuestTransactions = readonly (readonly [domid: number, transactions: readonly TransactionState[]])[]

/** Bytes that a watch counts for beside its path and token. */
const WATCH_BYTES = 64
/** More generations than one server gives between two snapshots. */
const GENERATIONS_SKIPPED = 2 ** 32

/**
 * The store: nodes, transactions, watches and quotas, as operations on behalf of sessions. Everything runs in one thread and to its
 * end; an operation either fails and changes nothing, or takes effect as a whole before the next.
 */
export class Store {
	readonly liveUpdate = new LiveUpdate(() =>
		[...this.#accounts].flatMap(([domid, { transactions }]) => (transactions > 0 ? [[domid, transactions] as const] : [])),
	)
	/** Whose requests wait for whose transactions. */
	readonly precedence = new Precedence()
	readonly #tree = Tree.empty()
	readonly #watches = new Watches()
	readonly #accounts = new Map<number, Account>()
	readonly #limits: Limits = { ...DEFAULT_LIMITS }
	readonly #ownLimits = new Map<number, Limits>()
	/** The sessions whose watches and transactions outlive the server, by domain. */
	readonly #durable = new Map<number, Session>()
	#journal: StoreJournal | undefined
	/** The special paths' permissions: who hears of domains. */
	readonly #specials = new Map<Path, Permissions>([
		[INTRODUCE_DOMAIN, [{ access: 'n', domid: 0 }]],
		[RELEASE_DOMAIN, [{ access: 'n', domid: 0 }]],
	])

	constructor() {
		const dom0 = this.openSession(0, () => {})
		this.execute(dom0, 0, { kind: 'mkdir', path: '/tool/xenstored' as Path })
	}

	openSession(domid: number, deliver: (path: string, token: string) => void): Session {
		let account = this.#accounts.get(domid)
		if (account === undefined) this.#accounts.set(domid, (account = emptyAccount()))
		return new Session({ domid }, account, deliver)
	}

	/** The session of a domain's conversation over its ring: the one that it had with the server before, if that goes on. */
	durableSession(domid: number, deliver?: (path: string, token: string) => void): Session {
		let session = this.#durable.get(domid)
		if (session === undefined) {
			session = this.openSession(domid, () => {})
			session.durable = true
			this.#durable.set(domid, session)
		}
		if (deliver !== undefined) session.deliverTo(deliver)
		return session
	}

	/** The domain's conversation starts anew: nothing of the one before is left. */
	startConversation(domid: number): void {
		const session = this.#durable.get(domid)
		if (session !== undefined) this.#forgetSession(session)
		this.#durable.delete(domid)
		this.record({ kind: 'converse', domid })
	}

	/** Ends the session's watches and transactions; it may be used on. */
	resetSession(session: Session): void {
		this.#forgetSession(session)
		if (session.durable) this.record({ kind: 'reset', domid: session.domid, ...this.#answered(session, 'OK') })
	}

	/** The session's client is gone. */
	closeSession(session: Session): void {
		this.#forgetSession(session)
		if (session.durable) this.record({ kind: 'reset', domid: session.domid })
	}

	/** EINVAL when the session's text is no valid path. */
	resolve(session: Session, text: string, specialAllowed = false): Path | Errno {
		const path = parsePath(text, session.domid, specialAllowed)
		if (path === undefined) return 'EINVAL'
		const base = /^\/local\/domain\/\d{1,5}\//.exec(path)?.[0].length ?? 0
		const tooLong = !isPrivileged(session.subject) && exceeds(this.limits(session.domid)['path-max'], path.length - base)
		return tooLong ? 'EINVAL' : path
	}

	/** Runs one operation, in a transaction unless `txId` is 0. ENOENT when there is no such transaction. */
	execute(session: Session, txId: number, operation: NodeOperation): OperationResult {
		if (isSpecial(operation.path)) return this.#executeSpecial(session, operation)
		if (txId !== 0) {
			const transaction = session.transaction(txId)
			return transaction === undefined ? 'ENOENT' : transaction.run(this.#scopeOf(session), operation)
		}
		const changes: Change[] = []
		const result = run({ ...this.#scopeOf(session), tree: this.#tree, changes }, operation)
		this.#recordEdits(session)
		this.#changedBy(session, changes)
		return result
	}

	/** EBUSY inside a transaction, ENOSPC at the limit. */
	startTransaction(session: Session, txId: number): number | Errno {
		if (txId !== 0) return session.transaction(txId) === undefined ? 'ENOENT' : 'EBUSY'
		const full = !isPrivileged(session.subject) && exceeds(this.limits(session.domid).transactions, session.account.transactions + 1)
		if (full) return 'ENOSPC'
		const opened = session.open(new Transaction(this.#tree, false, this.precedence.guestChanges))
		if (session.durable) this.record({ kind: 'open', domid: session.domid, txId: opened, ...this.#answered(session, String(opened)) })
		return opened
	}

	/** EAGAIN when something that the transaction depends on has changed; the transaction is over in any case. */
	endTransaction(session: Session, txId: number, commit: boolean): Errno | undefined {
		const transaction = session.transaction(txId)
		if (transaction === undefined) return 'ENOENT'
		session.close(txId)
		this.liveUpdate.transactionEnded()
		const changes = commit ? transaction.commit(this.#scopeOf(session), this.#tree) : []
		this.#recordEdits(session, txId, typeof changes === 'string' ? changes : 'OK')
		if (commit && isPrivileged(session.subject)) this.precedence.ended(typeof changes !== 'string', transaction.since)
		if (typeof changes === 'string') return changes
		this.#changedBy(session, changes)
		return undefined
	}

	#changedBy(session: Session, changes: readonly Change[]): void {
		if (changes.length > 0 && !isPrivileged(session.subject)) this.precedence.guestChanges++
		this.#watches.fire(changes)
	}

	/** EEXIST when the session has the same watch, ENOSPC or ENOMEM at the limits. The first event is the caller's to send. */
	watch(session: Session, text: string, token: string, depth?: number): { fireOnce(): void } | Errno {
		const path = this.resolve(session, text, true)
		if (isErrno(path)) return path
		if (this.#watches.find(session, path, token) !== undefined) return 'EEXIST'
		const prefix = isRelative(text) ? domainPath(session.domid).length + 1 : 0
		const watch: Watch = { watcher: session, path, token, depth, prefix }
		if (!isPrivileged(session.subject)) {
			const limits = this.limits(session.domid)
			if (exceeds(limits.watches, session.account.watches + 1)) return 'ENOSPC'
			if (memoryExceeded(limits, this.#tree.usage(session.domid), session.account, watchBytes(watch))) return 'ENOMEM'
		}
		this.#addWatch(session, watch)
		if (session.durable) {
			const limited = depth === undefined ? {} : { depth }
			this.record({ kind: 'watch', domid: session.domid, path: text, token, ...limited, ...this.#answered(session, 'OK') })
		}
		return { fireOnce: () => session.watchEvent(path.slice(prefix), token) }
	}

	unwatch(session: Session, text: string, token: string): Errno | undefined {
		const path = this.resolve(session, text, true)
		if (isErrno(path)) return path
		const watch = this.#watches.find(session, path, token)
		if (watch === undefined) return 'ENOENT'
		this.#dropWatch(session, watch)
		if (session.durable) this.record({ kind: 'unwatch', domid: session.domid, path: text, token, ...this.#answered(session, 'OK') })
		return undefined
	}

	/** Each of the session's watches fires, as at its registration: what it should have told of may be lost. */
	fireWatches(session: Session): void {
		for (const { path, prefix, token } of this.#watches.of(session)) session.watchEvent(path.slice(prefix), token)
	}

	/** Fires @introduceDomain. */
	domainIntroduced(domid: number): void {
		this.#watches.fireSpecial(INTRODUCE_DOMAIN, domid, this.#specials.get(INTRODUCE_DOMAIN)!)
	}

	/** Fires @releaseDomain: the domain has shut down, crashed, been released or is gone. */
	domainReleased(domid: number): void {
		this.#watches.fireSpecial(RELEASE_DOMAIN, domid, this.#specials.get(RELEASE_DOMAIN)!)
	}

	/** Nothing of a domain that is gone may meet the next one with its number. */
	forgetDomain(domid: number): void {
		const changes: Change[] = []
		const scope0 = this.openSession(0, () => {})
		const scope: Scope = { ...this.#scopeOf(scope0), tree: this.#tree, changes }
		removeDomain(scope, domid)
		const session = this.#durable.get(domid)
		if (session !== undefined) this.#forgetSession(session)
		this.#durable.delete(domid)
		for (const [path, permissions] of this.#specials) this.#specials.set(path, withoutDomain(permissions, domid))
		this.#accounts.delete(domid)
		this.#ownLimits.delete(domid)
		this.#recordEdits(scope0)
		this.record({ kind: 'forget', domid })
		this.#watches.fire(changes)
	}

	/** The limits in force for a domain, or the ones for all. Writable: a domain's own override the common ones. */
	limits(domid?: number): Limits {
		return (domid === undefined ? undefined : this.#ownLimits.get(domid)) ?? this.#limits
	}

	/** Sets a limit of one domain, or the one for all. */
	setLimit(name: QuotaName, value: number, domid?: number): void {
		const limits = domid === undefined ? this.#limits : this.ownLimits(domid)
		limits[name] = value
		this.record({ kind: 'limit', ...(domid === undefined ? {} : { domid }), name, value })
	}

	/** Limits for one domain, which follow the common ones until they are set. */
	ownLimits(domid: number): Limits {
		let own = this.#ownLimits.get(domid)
		if (own === undefined) this.#ownLimits.set(domid, (own = Object.create(this.#limits) as Limits))
		return own
	}

	/** What a domain uses now. */
	usage(domid: number): { nodes: number; bytes: number; watches: number; transactions: number } {
		const { nodes, bytes } = this.#tree.usage(domid)
		const account = this.#accounts.get(domid) ?? emptyAccount()
		return { nodes, bytes: bytes + account.bytes, watches: account.watches, transactions: account.transactions }
	}

	/** True when `added_bytes` more would exceed an unprivileged domain's memory. */
	overMemory(session: Session, added_bytes: number): boolean {
		if (isPrivileged(session.subject)) return false
		return memoryExceeded(this.limits(session.domid), this.#tree.usage(session.domid), session.account, added_bytes)
	}

	#scopeOf(session: Session): Omit<Scope, 'tree' | 'changes'> {
		return { subject: session.subject, limits: this.limits(session.domid), account: session.account }
	}

	#executeSpecial(session: Session, operation: NodeOperation): OperationResult {
		const permissions = this.#specials.get(operation.path)
		const mayRead = permissions !== undefined && (accessBits(permissions, session.subject) & READ) !== 0
		if (operation.kind === 'getPermissions') return permissions === undefined ? 'ENOENT' : mayRead ? permissions : 'EACCES'
		if (operation.kind !== 'setPermissions') return 'EINVAL'
		if (!isPrivileged(session.subject)) return 'EACCES'
		if (permissions === undefined) return 'ENOENT'
		this.#specials.set(operation.path, operation.permissions)
		this.record({ kind: 'special', path: operation.path, permissions: formatRecorded(operation.permissions) })
		return undefined
	}

	/** From now on everything is recorded that outlives the process. */
	startJournal(journal: StoreJournal): void {
		this.#tree.recordEdits()
		this.#journal = journal
	}

	record(record: StoreRecord): void {
		this.#journal?.append(record)
	}

	/** Records that give this store. */
	*snapshot(): Generator<StoreRecord> {
		yield { kind: 'generation', last: this.#tree.lastGeneration }
		yield* nodeRecords(ROOT, this.#tree.root)
		for (const [path, permissions] of this.#specials) yield { kind: 'special', path, permissions: formatRecorded(permissions) }
		for (const [name, value] of Object.entries(this.#limits)) yield { kind: 'limit', name, value }
		for (const [domid, limits] of this.#ownLimits) {
			for (const name of Object.keys(limits)) yield { kind: 'limit', domid, name, value: limits[name as QuotaName] }
		}
		for (const [domid, session] of this.#durable) yield* this.#sessionRecords(domid, session)
	}

	/** Applies a record of the store before. Throws when it is none of the store's. */
	restore(record: StoreRecord): void {
		if ('request' in record && record.request !== undefined) this.#keepAnswer(record.request)
		switch (record.kind) {
			case 'generation':
				this.#tree.remove('/tool' as Path)
				return this.#tree.skipGenerations(record.last + GENERATIONS_SKIPPED)
			case 'edits':
				for (const { path, content } of record.edits.map(decodeEdit)) {
					if (content === undefined) this.#tree.remove(path)
					else this.#tree.put(path, content)
				}
				if (record.close !== undefined) this.durableSession(record.close[0]).close(record.close[1])
				return
			case 'open':
				return this.durableSession(record.domid).reopen(record.txId, new Transaction(this.#tree, true))
			case 'watch': {
				return this.#restoreWatch(this.durableSession(record.domid), record)
			}
			case 'unwatch':
				this.unwatch(this.durableSession(record.domid), record.path, record.token)
				return
			case 'reset':
				return this.#forgetSession(this.durableSession(record.domid))
			case 'converse':
				return this.startConversation(record.domid)
			case 'answer':
				return
			case 'special':
				this.#specials.set(record.path as Path, decodePermissions(record.permissions))
				return
			case 'limit':
				if (!isQuotaName(record.name) || !Number.isInteger(record.value)) throw new Error(`a record has the quota ${record.name}`)
				return this.setLimit(record.name, record.value, record.domid)
			case 'forget':
				return this.forgetDomain(record.domid)
			default:
				throw new Error(`a record is of the kind ${record.kind}`)
		}
	}

	#recordEdits(session: Session, closed?: number, answer = 'OK'): void {
		if (this.#journal === undefined) return
		const edits = this.#tree.takeEdits()
		const close = closed === undefined || !session.durable ? {} : { close: [session.domid, closed] as const }
		if (edits.length === 0 && close.close === undefined) return
		this.record({ kind: 'edits', edits: edits.map(recordEdit), ...close, ...this.#answered(session, answer) })
	}

	/** What a record says of the request that made it. */
	#answered(session: Session, answer: string): { readonly request?: RecordedRequest } {
		if (!session.durable || this.#journal === undefined) return {}
		const request: RecordedRequest = [session.domid, session.request, answer]
		this.#keepAnswer(request)
		return { request }
	}

	#keepAnswer([domid, number, answer]: RecordedRequest): void {
		const { answers } = this.durableSession(domid)
		answers.set(number, answer)
		for (const old of answers.keys()) {
			if (old > number - KEPT_ANSWERS) break
			answers.delete(old)
		}
	}

	*#sessionRecords(domid: number, session: Session): Generator<StoreRecord> {
		yield { kind: 'converse', domid }
		for (const { txId } of session.transactions) yield { kind: 'open', domid, txId }
		for (const watch of this.watchesOf(session)) yield { kind: 'watch', domid, ...watch }
		for (const [number, answer] of session.answers) yield { kind: 'answer', request: [domid, number, answer] }
	}

	watchesOf(session: Session): readonly WatchState[] {
		return this.#watches.of(session).map(({ path, prefix, token, depth }) => {
			return { path: path.slice(prefix), token, ...(depth === undefined ? {} : { depth }) }
		})
	}

	/** What a session had in another server. */
	restoreSession(session: Session, watches: readonly WatchState[], transactions: readonly TransactionState[]): void {
		for (const watch of watches) this.#restoreWatch(session, watch)
		this.#resume(session, transactions)
	}

	/** The open transactions of guests, which the journal has as doomed ones: who is killed tells nobody what they had done. */
	get guestTransactions(): GuestTransactions {
		return [...this.#durable].map(([domid, { transactions }]) => [domid, transactions])
	}

	resumeGuests(transactions: GuestTransactions): void {
		for (const [domid, states] of transactions) this.#resume(this.durableSession(domid), states)
	}

	#resume(session: Session, transactions: readonly TransactionState[]): void {
		for (const state of transactions) session.reopen(state.txId, Transaction.resumed(this.#scopeOf(session), this.#tree, state))
	}

	#restoreWatch(watcher: Session, { path: text, token, depth }: WatchState): void {
		const { domid } = watcher
		const path = parsePath(text, domid, true)
		if (path === undefined) throw new Error(`a record has a watch on ${text}`)
		const prefix = isRelative(text) ? domainPath(domid).length + 1 : 0
		if (this.#watches.find(watcher, path, token) === undefined) this.#addWatch(watcher, { watcher, path, token, depth, prefix })
	}

	#forgetSession(session: Session): void {
		for (const watch of this.#watches.of(session)) this.#dropWatch(session, watch)
		session.closeAll()
		this.liveUpdate.transactionEnded()
	}

	#addWatch(session: Session, watch: Watch): void {
		this.#watches.add(watch)
		session.account.watches++
		session.account.bytes += watchBytes(watch)
	}

	#dropWatch(session: Session, watch: Watch): void {
		this.#watches.remove(watch)
		session.account.watches--
		session.account.bytes -= watchBytes(watch)
	}
}

/** Paths are strings too, but start with '/' or '@', and answers are OK or a number. */
export function isErrno(result: string): result is Errno {
	return result[0] === 'E'
}

function* nodeRecords(path: Path, { value, permissions, children }: Node): Generator<StoreRecord> {
	yield { kind: 'edits', edits: [recordEdit({ path, content: { value, permissions } })] }
	for (const [name, child] of children) yield* nodeRecords(childOf(path, name), child)
}

function watchBytes(watch: Watch): number {
	return WATCH_BYTES + watch.path.length + watch.token.length
}
