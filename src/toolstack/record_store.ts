import type { DomainRecord } from './domain_record.ts'

/** Where the records of domains are kept: each by its domain's uuid. What has resolved is durable. */
export interface RecordStore {
	/** Every record; those that can't be read are set aside and told of in `unreadable`. */
	load(): Promise<{ readonly records: readonly DomainRecord[]; readonly unreadable: readonly string[] }>
	/** Writes the record as a whole, or not at all. */
	save(record: DomainRecord): Promise<void>
	/** That there is none is no error. */
	remove(uuid: string): Promise<void>
}

/** Records that last as long as the program: for a library, and for tests. */
export class MemoryRecords implements RecordStore {
	private readonly records = new Map<string, string>()

	async load(): Promise<{ records: DomainRecord[]; unreadable: string[] }> {
		return { records: [...this.records.values()].map((text) => JSON.parse(text) as DomainRecord), unreadable: [] }
	}

	async save(record: DomainRecord): Promise<void> {
		this.records.set(String(record.values.uuid), JSON.stringify(record))
	}

	async remove(uuid: string): Promise<void> {
		this.records.delete(uuid)
	}
}
