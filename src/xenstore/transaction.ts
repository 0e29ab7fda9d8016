/**
 * A transaction works on a fork of the store and records each operation with its result. To commit, the store either has not changed
 * since, or the operations are run again on the store as it is now: if every one gives the result that the client has already seen,
 * the transaction could as well have happened now, and it does. Otherwise the client has seen something that is no longer so: EAGAIN.
 * So a transaction fails only when something that it really depends on has changed, and what is committed is serialisable.
 */
import { equalBytes } from './bytes.ts'
import type { Errno } from './errors.ts'
import {
	type Change,
	directory,
	generation,
	getPermissions,
	mkdir,
	read,
	rm,
	type Scope,
	setPermissions,
	write,
} from './node_operations.ts'
import type { Path } from './path.ts'
import { isPrivileged, type Permissions } from './permissions.ts'
import { exceeds, memoryExceeded } from './quota.ts'
import type { Tree } from './tree.ts'

/** An operation on nodes as data, so that it can be run again. */
export type NodeOperation =
	| { readonly kind: 'read' | 'directory' | 'generation' | 'getPermissions' | 'mkdir' | 'rm'; readonly path: Path }
	| { readonly kind: 'write'; readonly path: Path; readonly value: Uint8Array }
	| { readonly kind: 'setPermissions'; readonly path: Path; readonly permissions: Permissions }

export type OperationResult = Uint8Array | readonly string[] | Permissions | number | Errno | undefined

export function run(scope: Scope, operation: NodeOperation): OperationResult {
	switch (operation.kind) {
		case 'read':
			return read(scope, operation.path)
		case 'directory':
			return directory(scope, operation.path)
		case 'generation':
			return generation(scope, operation.path)
		case 'getPermissions':
			return getPermissions(scope, operation.path)
		case 'mkdir':
			return mkdir(scope, operation.path)
		case 'rm':
			return rm(scope, operation.path)
		case 'write':
			return write(scope, operation.path, operation.value)
		case 'setPermissions':
			return setPermissions(scope, operation.path, operation.permissions)
	}
}

interface RecordedOperation {
	readonly operation: NodeOperation
	readonly result: OperationResult
}

/** What an open transaction has done, with which it goes on in another server. A doomed one has nothing to go on with. */
export interface TransactionState {
	readonly txId: number
	readonly done: readonly RecordedOperation[] | 'doomed'
}

type TransactionScope = Omit<Scope, 'tree' | 'changes'>

export class Transaction {
	readonly #base: Tree
	readonly #tree: Tree
	readonly #journal: RecordedOperation[] = []
	/** Reads since the last change: repeating one tells the client nothing new, so it is not recorded again. */
	readonly #known = new Set<string>()
	readonly #changes: Change[] = []
	readonly #doomed: boolean
	/** How many changes guests had made when it began. */
	readonly since: number
	#bytes = 0

	/** A doomed one runs its operations as any, and ends with EAGAIN. */
	constructor(store: Tree, doomed = false, since = 0) {
		this.since = since
		this.#doomed = doomed
		this.#base = store.fork()
		this.#tree = store.fork()
	}

	/** Goes on with another server's on the store as it is here; doomed when its operations give other results here. */
	static resumed(scope: TransactionScope, store: Tree, { done }: TransactionState): Transaction {
		const transaction = new Transaction(store, done === 'doomed')
		if (done === 'doomed') return transaction
		for (const { operation, result } of done) {
			if (sameResult(transaction.run(scope, operation), result, operation.kind)) continue
			scope.account.bytes -= transaction.bytes
			return new Transaction(store, true)
		}
		return transaction
	}

	get done(): TransactionState['done'] {
		return this.#doomed ? 'doomed' : this.#journal
	}

	/** Bytes of the journal; they count against the domain's memory, and the owner of the account takes them off it at the end. */
	get bytes(): number {
		return this.#bytes
	}

	/** ENOSPC or ENOMEM when an unprivileged domain does too much in one transaction. */
	run(scope: TransactionScope, operation: NodeOperation): OperationResult {
		const refused = isPrivileged(scope.subject) ? undefined : this.#refused(scope)
		if (refused !== undefined) return refused
		const result = run({ ...scope, tree: this.#tree, changes: this.#changes }, operation)
		scope.account.bytes += this.#record(operation, result)
		return result
	}

	#refused({ limits, subject, account }: TransactionScope): Errno | undefined {
		if (exceeds(limits['transaction-nodes'], this.#journal.length + 1)) return 'ENOSPC'
		return memoryExceeded(limits, this.#tree.usage(subject.domid), account, 0) ? 'ENOMEM' : undefined
	}

	/** Applies the transaction to the store and returns what changed, or leaves the store alone and returns EAGAIN. */
	commit(scope: TransactionScope, store: Tree): readonly Change[] | Errno {
		if (this.#doomed) return 'EAGAIN'
		if (store.sameAs(this.#base)) {
			store.adopt(this.#tree)
			return distinct(this.#changes)
		}
		const tree = store.fork()
		const changes: Change[] = []
		for (const { operation, result } of this.#journal) {
			if (!sameResult(run({ ...scope, tree, changes }, operation), result, operation.kind)) return 'EAGAIN'
		}
		store.adopt(tree)
		return distinct(changes)
	}

	/** Returns the bytes that the record takes. A generation is no more than a token, so it need not come out the same again. */
	#record(operation: NodeOperation, result: OperationResult): number {
		if (operation.kind === 'generation') return 0
		if (isChange(operation)) this.#known.clear()
		else {
			const key = `${operation.kind} ${operation.path}`
			if (this.#known.has(key)) return 0
			this.#known.add(key)
		}
		this.#journal.push({ operation, result })
		const bytes = recordBytes(operation, result)
		this.#bytes += bytes
		return bytes
	}
}

const RECORD_BYTES = 64

function recordBytes(operation: NodeOperation, result: OperationResult): number {
	const written = operation.kind === 'write' ? operation.value.length : 0
	const seen = result instanceof Uint8Array ? result.length : Array.isArray(result) ? 16 * result.length : 0
	return RECORD_BYTES + 2 * operation.path.length + written + seen
}

function isChange(operation: NodeOperation): boolean {
	return operation.kind === 'write' || operation.kind === 'mkdir' || operation.kind === 'rm' || operation.kind === 'setPermissions'
}

function sameResult(now: OperationResult, then: OperationResult, kind: NodeOperation['kind']): boolean {
	if (now === then) return true
	if (now instanceof Uint8Array && then instanceof Uint8Array) return equalBytes(now, then)
	if (!Array.isArray(now) || !Array.isArray(then) || now.length !== then.length) return false
	if (kind === 'directory') return now.every((name, i) => name === then[i])
	return (now as Permissions[number][]).every((entry, i) => entry.access === then[i].access && entry.domid === then[i].domid)
}

/** One event for each path, at the place of its first change. */
function distinct(changes: readonly Change[]): readonly Change[] {
	const byPath = new Map<string, Change>()
	for (const change of changes) {
		const earlier = byPath.get(change.path)
		byPath.set(change.path, earlier === undefined ? change : merge(earlier, change))
	}
	return [...byPath.values()]
}

function merge(a: Change, b: Change): Change {
	return {
		path: a.path,
		ancestorsHear: a.ancestorsHear || b.ancestorsHear,
		readableUnder: [...new Set([...a.readableUnder, ...b.readableUnder])],
	}
}
