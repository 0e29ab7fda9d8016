import type { Change } from './node_operations.ts'
import { depthBelow, type Path, parentOf, ROOT } from './path.ts'
import { accessBits, type Permissions, READ, type Subject } from './permissions.ts'

/** Whoever set a watch. */
export interface Watcher {
	readonly subject: Subject
	/** Queues one WATCH_EVENT. `path` is as the watcher would write it: relative if it gave a relative path. */
	watchEvent(path: string, token: string): void
}

export interface Watch {
	readonly watcher: Watcher
	readonly path: Path
	readonly token: string
	/** Levels below the path that still fire; undefined for all. */
	readonly depth: number | undefined
	/** Characters that are taken off the front of an event's path: the base of a relative watch. */
	readonly prefix: number
}

/** All watches, by path, so that a change costs what its depth and its listeners cost and not what all watches would. */
export class Watches {
	readonly #byPath = new Map<Path, Set<Watch>>()
	readonly #byWatcher = new Map<Watcher, Map<string, Watch>>()

	find(watcher: Watcher, path: Path, token: string): Watch | undefined {
		return this.#byWatcher.get(watcher)?.get(key(path, token))
	}

	add(watch: Watch): void {
		const own = this.#byWatcher.get(watch.watcher)
		if (own === undefined) this.#byWatcher.set(watch.watcher, new Map([[key(watch.path, watch.token), watch]]))
		else own.set(key(watch.path, watch.token), watch)
		const there = this.#byPath.get(watch.path)
		if (there === undefined) this.#byPath.set(watch.path, new Set([watch]))
		else there.add(watch)
	}

	remove(watch: Watch): void {
		const own = this.#byWatcher.get(watch.watcher)
		own?.delete(key(watch.path, watch.token))
		if (own?.size === 0) this.#byWatcher.delete(watch.watcher)
		const there = this.#byPath.get(watch.path)
		there?.delete(watch)
		if (there?.size === 0) this.#byPath.delete(watch.path)
	}

	of(watcher: Watcher): readonly Watch[] {
		return [...(this.#byWatcher.get(watcher)?.values() ?? [])]
	}

	fire(changes: readonly Change[]): void {
		for (const change of changes) this.#fire(change)
	}

	/** @introduceDomain or @releaseDomain happened to `domid`; `permissions` are the special path's. */
	fireSpecial(special: Path, domid: number, permissions: Permissions): void {
		const named = `${special}/${domid}` as Path
		for (const watch of this.#byPath.get(special) ?? []) {
			if (watch.depth === 0 || !mayRead(watch.watcher, [permissions])) continue
			send(watch, watch.depth === undefined ? special : named)
		}
		for (const watch of this.#byPath.get(named) ?? []) if (mayRead(watch.watcher, [permissions])) send(watch, named)
	}

	#fire(change: Change): void {
		for (let at = change.path; ; at = parentOf(at)) {
			for (const watch of this.#byPath.get(at) ?? []) {
				if (watch.depth !== undefined && depthBelow(change.path, at)! > watch.depth) continue
				if (mayRead(watch.watcher, change.readableUnder)) send(watch, change.path)
			}
			if (at === ROOT || !change.ancestorsHear) return
		}
	}
}

function key(path: Path, token: string): string {
	return `${path}\0${token}`
}

function mayRead(watcher: Watcher, permissions: readonly Permissions[]): boolean {
	return permissions.some((some) => (accessBits(some, watcher.subject) & READ) !== 0)
}

function send(watch: Watch, path: Path): void {
	watch.watcher.watchEvent(path.slice(watch.prefix), watch.token)
}
