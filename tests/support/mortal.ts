/** A toolstack that is killed between any two of its steps, over a hypervisor, a store and records that live on. */
import { UserError } from '../../src/base/errors.ts'
import type { Host } from '../../src/toolstack/domain_steps.ts'
import { Lifecycle } from '../../src/toolstack/lifecycle.ts'
import { MemoryRecords, type RecordStore } from '../../src/toolstack/record_store.ts'
import type { SavedFiles } from '../../src/toolstack/save_restore.ts'
import type { XenControl } from '../../src/xenctrl/interface.ts'
import { XenstoreClient } from '../../src/xenstore/client.ts'
import { FakeXen } from './fake_domains.ts'

/** Counts the steps of one toolstack: everything that it asks of others is one, each request to XenStore as well. */
class Fate {
	readonly death: Promise<void>
	steps = 0
	dead = false
	private readonly limit: number
	private die: () => void = () => {}

	constructor(limit: number) {
		this.limit = limit
		this.death = new Promise((resolve) => {
			this.die = resolve
		})
	}

	/** False from the step on that it does not live to take. */
	lives(): boolean {
		if (!this.dead && this.steps++ < this.limit) return true
		this.dead = true
		this.die()
		return false
	}
}

const never = new Promise<never>(() => {})

/** Calls of a dead toolstack do nothing and never return. */
function mortal<T extends object>(target: T, fate: Fate): T {
	return new Proxy(target, {
		get(_, key) {
			const member = target[key as keyof T]
			if (typeof member !== 'function') return member
			if (key === 'onEvent') {
				return (listener: (event: unknown) => void) =>
					(target as unknown as XenControl).onEvent((event) => {
						if (!fate.dead) listener(event)
					})
			}
			return async (...args: unknown[]) => {
				if (!fate.lives()) return never
				const result = await (member as (...args: unknown[]) => unknown).apply(target, args)
				return fate.dead ? never : result
			}
		},
	})
}

function mortalStore(xen: FakeXen, fate: Fate): XenstoreClient {
	const transport = xen.store.accept({
		write: (bytes) => {
			queueMicrotask(() => fate.dead || client.onData(bytes))
			return true
		},
		pause: () => {},
		resume: () => {},
		close: () => {},
	})
	void fate.death.then(() => transport.onClose())
	const client: XenstoreClient = new XenstoreClient({
		write: (bytes) => {
			if (fate.lives()) transport.onData(bytes)
		},
		close: () => transport.onClose(),
	})
	return client
}

/** What outlives a toolstack. */
export class World {
	readonly xen = new FakeXen()
	readonly records = new MemoryRecords()
	readonly clock = { now_s: 100_000 }
	readonly logged: string[] = []
	/** How long a guest may take to suspend itself, of toolstacks from now on. */
	suspendTimeout_s = 0.02
	/** Files of suspended domains, among those of the hypervisor. */
	readonly savedFiles: SavedFiles = {
		path: async (uuid) => `/saved/${uuid}`,
		remove: async (uuid) => void this.xen.files.delete(`/saved/${uuid}`),
	}
	private uuids = 0

	/** A toolstack that has taken up work, or died on the way. It dies before the step after `limit`. */
	async toolstack(limit = Number.POSITIVE_INFINITY, xen = this.xen): Promise<{ lifecycle: Lifecycle; fate: Fate }> {
		const fate = new Fate(limit)
		const lifecycle = new Lifecycle({
			records: mortal(this.records as RecordStore, fate),
			newUuid: () => `00000000-0000-0000-0000-${String(++this.uuids).padStart(12, '0')}`,
			now_s: () => this.clock.now_s,
			freeMemory_kib: () => 1024 * 1024,
			suspendTimeout_s: this.suspendTimeout_s,
			savedFiles: mortal(this.savedFiles, fate),
			checkWritable: async (path) => {
				if (path.startsWith('/unwritable/')) throw new UserError(`Unable to create file ${path}: permission denied`)
			},
			dom0Memory_kib: 1024 * 1024,
			log: (level, message) => fate.dead || this.logged.push(`${level}: ${message}`),
		})
		const host: Host = { xen: mortal(xen as XenControl, fate), store: mortalStore(xen, fate), bootId: xen.bootId }
		await Promise.race([lifecycle.attach(host), fate.death])
		return { lifecycle, fate }
	}
}
