import { UserError } from '../base/errors.ts'
import { configOf, type DomainRecord, domidOf, type ManagedEntry, type NamedConfig } from './domain_record.ts'
import { DOMAIN_0, isDomain0, NoSuchDomain } from './lifecycle_events.ts'
import type { Log } from './log_level.ts'
import type { RecordStore } from './record_store.ts'

/** A domain of the table. `record` is what is durable; it changes through DomainTable.save() only. */
export interface Entry extends ManagedEntry {
	readonly uuid: string
	record: DomainRecord
	config: NamedConfig
	/** The end of the last operation that was begun on it. */
	lane: Promise<unknown>
	/** It has left the table. */
	gone: boolean
}

/**
 * Every domain that the toolstack knows, with its durable record.
 *
 * Locking: an operation holds its domain's lane from its first step to its last (exclusive()), so that it sees no other in between. Who
 * holds a lane waits for no other lane, and for no hypervisor to come.
 */
export class DomainTable {
	/** Records that could not be read: what they were of is not known. */
	unreadable: readonly string[] = []
	private readonly store: RecordStore
	private readonly byUuid = new Map<string, Entry>()

	constructor(store: RecordStore) {
		this.store = store
	}

	async load(log: Log): Promise<void> {
		const { records, unreadable } = await this.store.load()
		const broken = [...unreadable]
		for (const record of records) {
			try {
				this.add(record)
			} catch (error) {
				broken.push(`${record.values?.name}: ${error instanceof Error ? error.message : String(error)}`)
			}
		}
		for (const what of broken) log('error', `A domain's record cannot be read and is set aside: ${what}`)
		this.unreadable = broken
	}

	entries(): Entry[] {
		return [...this.byUuid.values()]
	}

	get(uuid: string): Entry | undefined {
		return this.byUuid.get(uuid)
	}

	/** Takes the record into the table; it is not durable yet, but its name is taken. */
	add(record: DomainRecord): Entry {
		const config = configOf(record)
		const entry: Entry = { uuid: config.uuid, record, config, lane: Promise.resolve(), gone: false }
		this.byUuid.set(entry.uuid, entry)
		return entry
	}

	/** Makes the changed record durable, and then the entry's. */
	async save(entry: Entry, changes: Partial<DomainRecord> = {}): Promise<void> {
		const record = { ...entry.record, ...changes }
		await this.store.save(record)
		entry.record = record
		if (changes.values !== undefined) entry.config = configOf(record)
	}

	/** The domain is no more, nor its record. */
	async forget(entry: Entry): Promise<void> {
		await this.store.remove(entry.uuid)
		this.discard(entry)
	}

	/** Takes an entry back whose record was never saved. */
	discard(entry: Entry): void {
		entry.gone = true
		if (this.byUuid.get(entry.uuid) === entry) this.byUuid.delete(entry.uuid)
	}

	/** Runs `work` when all that was begun on the domain before is over. */
	exclusive<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
		const result = entry.lane.then(work)
		entry.lane = result.catch(() => {})
		return result
	}

	/** By name, else by number; not one that is being created. Throws NoSuchDomain. */
	find(reference: string): Entry {
		const entries = this.entries().filter(isFindable)
		const entry =
			entries.find(({ config }) => config.name === reference) ??
			(/^\d+$/.test(reference) ? entries.find(({ record }) => domidOf(record) === Number(reference)) : undefined)
		if (entry === undefined) throw new NoSuchDomain(reference)
		return entry
	}

	/** Throws UserError when another domain has the name. */
	checkName(name: string, except?: Entry): void {
		if (isDomain0(name)) throw taken(`VM name '${DOMAIN_0}' already exists as domain 0`)
		const other = this.entries().find((entry) => entry !== except && entry.config.name === name)
		if (other === undefined) return
		const domid = domidOf(other.record)
		if (domid !== undefined) throw taken(`VM name '${name}' already exists as domain ${domid}`)
		throw taken(`VM name '${name}' already exists${other.record.phase.is === 'building' ? ' and is being created' : ''}`)
	}

	/** Throws UserError when another domain has the uuid. */
	checkUuid(uuid: string): void {
		const other = this.byUuid.get(uuid)
		if (other === undefined) return
		const domid = domidOf(other.record)
		throw taken(`Domain '${other.config.name}' already exists${domid === undefined ? '' : ` with ID '${domid}'`} and has the uuid ${uuid}`)
	}
}

function isFindable({ record: { phase, managed } }: Entry): boolean {
	return managed || phase.is !== 'building' || phase.after === 'restart'
}

function taken(message: string): UserError {
	return new UserError(message, { code: 'name-taken' })
}
