import type { Errno } from './errors.ts'
import { type Change, removeDomain, type Scope, withoutDomain } from './node_operations.ts'
import { domainPath, INTRODUCE_DOMAIN, isRelative, isSpecial, type Path, parsePath, RELEASE_DOMAIN } from './path.ts'
import { accessBits, isPrivileged, type Permissions, READ } from './permissions.ts'
import { type Account, DEFAULT_LIMITS, emptyAccount, exceeds, type Limits, memoryExceeded } from './quota.ts'
import { Session } from './session.ts'
import { type NodeOperation, type OperationResult, run, Transaction } from './transaction.ts'
import { Tree } from './tree.ts'
import { type Watch, Watches } from './watches.ts'

/** Bytes that a watch counts for beside its path and token. */
const WATCH_BYTES = 64

/**
 * The store: nodes, transactions, watches and quotas, as operations on behalf of sessions. Everything runs in one thread and to its
 * end; an operation either fails and changes nothing, or takes effect as a whole before the next.
 */
export class Store {
	readonly #tree = Tree.empty()
	readonly #watches = new Watches()
	readonly #accounts = new Map<number, Account>()
	readonly #limits: Limits = { ...DEFAULT_LIMITS }
	readonly #ownLimits = new Map<number, Limits>()
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

	/** Ends the session's watches and transactions; it may be used on. */
	resetSession(session: Session): void {
		for (const watch of this.#watches.of(session)) this.#dropWatch(session, watch)
		session.closeAll()
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
		this.#watches.fire(changes)
		return result
	}

	/** EBUSY inside a transaction, ENOSPC at the limit. */
	startTransaction(session: Session, txId: number): number | Errno {
		if (txId !== 0) return session.transaction(txId) === undefined ? 'ENOENT' : 'EBUSY'
		const full = !isPrivileged(session.subject) && exceeds(this.limits(session.domid).transactions, session.account.transactions + 1)
		return full ? 'ENOSPC' : session.open(new Transaction(this.#tree))
	}

	/** EAGAIN when something that the transaction depends on has changed; the transaction is over in any case. */
	endTransaction(session: Session, txId: number, commit: boolean): Errno | undefined {
		const transaction = session.transaction(txId)
		if (transaction === undefined) return 'ENOENT'
		session.close(txId)
		if (!commit) return undefined
		const changes = transaction.commit(this.#scopeOf(session), this.#tree)
		if (typeof changes === 'string') return changes
		this.#watches.fire(changes)
		return undefined
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
		this.#watches.add(watch)
		session.account.watches++
		session.account.bytes += watchBytes(watch)
		return { fireOnce: () => session.watchEvent(path.slice(prefix), token) }
	}

	unwatch(session: Session, text: string, token: string): Errno | undefined {
		const path = this.resolve(session, text, true)
		if (isErrno(path)) return path
		const watch = this.#watches.find(session, path, token)
		if (watch === undefined) return 'ENOENT'
		this.#dropWatch(session, watch)
		return undefined
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
		const scope: Scope = { ...this.#scopeOf(this.openSession(0, () => {})), tree: this.#tree, changes }
		removeDomain(scope, domid)
		for (const [path, permissions] of this.#specials) this.#specials.set(path, withoutDomain(permissions, domid))
		this.#accounts.delete(domid)
		this.#ownLimits.delete(domid)
		this.#watches.fire(changes)
	}

	/** The limits in force for a domain, or the ones for all. Writable: a domain's own override the common ones. */
	limits(domid?: number): Limits {
		return (domid === undefined ? undefined : this.#ownLimits.get(domid)) ?? this.#limits
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
		return undefined
	}

	#dropWatch(session: Session, watch: Watch): void {
		this.#watches.remove(watch)
		session.account.watches--
		session.account.bytes -= watchBytes(watch)
	}
}

/** Paths are strings too, but start with '/' or '@'. */
export function isErrno(result: Path | Errno): result is Errno {
	return result[0] === 'E'
}

function watchBytes(watch: Watch): number {
	return WATCH_BYTES + watch.path.length + watch.token.length
}
