import type { Subject } from './permissions.ts'
import type { Account } from './quota.ts'
import type { Transaction, TransactionState } from './transaction.ts'
import type { Watcher } from './watches.ts'

/** What the store keeps for one client: who it is, its open transactions and what it uses. */
export class Session implements Watcher {
	/** XS_SET_TARGET replaces it. */
	subject: Subject
	/** Shared by all sessions of one domain. */
	readonly account: Account
	readonly #transactions = new Map<number, Transaction>()
	#deliver: (path: string, token: string) => void
	/** Its watches and transactions outlive the server: a guest's, over its ring. */
	durable = false
	/** The number of the request that is being served. */
	request = 0
	/** The answers on record, by their requests' numbers. */
	readonly answers = new Map<number, string>()
	#lastTransaction = 0

	constructor(subject: Subject, account: Account, deliver: (path: string, token: string) => void) {
		this.subject = subject
		this.account = account
		this.#deliver = deliver
	}

	get domid(): number {
		return this.subject.domid
	}

	watchEvent(path: string, token: string): void {
		this.#deliver(path, token)
	}

	/** Another connection goes on with the session. */
	deliverTo(deliver: (path: string, token: string) => void): void {
		this.#deliver = deliver
	}

	get transactions(): readonly TransactionState[] {
		return [...this.#transactions].map(([txId, { done }]) => ({ txId, done }))
	}

	/** A transaction of the server before, whose bytes the account has already. */
	reopen(txId: number, transaction: Transaction): void {
		this.close(txId)
		this.#transactions.set(txId, transaction)
		this.account.transactions++
		this.#lastTransaction = Math.max(this.#lastTransaction, txId)
	}

	transaction(txId: number): Transaction | undefined {
		return this.#transactions.get(txId)
	}

	/** Returns the new transaction's id: never 0 and not in use. */
	open(transaction: Transaction): number {
		do this.#lastTransaction = (this.#lastTransaction + 1) >>> 0 || 1
		while (this.#transactions.has(this.#lastTransaction))
		this.#transactions.set(this.#lastTransaction, transaction)
		this.account.transactions++
		return this.#lastTransaction
	}

	close(txId: number): void {
		const transaction = this.#transactions.get(txId)
		if (transaction === undefined) return
		this.#transactions.delete(txId)
		this.account.transactions--
		this.account.bytes -= transaction.bytes
	}

	closeAll(): void {
		for (const txId of [...this.#transactions.keys()]) this.close(txId)
	}
}
