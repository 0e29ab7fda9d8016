/**
 * Operations on nodes, with the subject's permissions and limits. Each checks everything before it changes anything, returns an
 * Errno or its result, and reports what changed so that watches can fire.
 */
import type { Errno } from './errors.ts'
import { childOf, elements, type Path, parentOf, ROOT } from './path.ts'
import { accessBits, isPrivileged, OWNER, ownerOf, type Permissions, READ, type Subject, WRITE } from './permissions.ts'
import { type Account, exceeds, type Limits, memoryExceeded } from './quota.ts'
import { childListBytes, NO_BYTES, type Node, nodeBytes, type Tree } from './tree.ts'

/** One changed path. */
export interface Change {
	readonly path: Path
	/** False for what went away because something above it was removed: only watches on exactly this path hear of it. */
	readonly ancestorsHear: boolean
	/** Whoever may read under one of these hears of it: the node's permissions after and before the change, and its parent's. */
	readonly readableUnder: readonly Permissions[]
}

/** In which view, for whom, and within what limits an operation runs. */
export interface Scope {
	readonly tree: Tree
	readonly subject: Subject
	readonly limits: Limits
	readonly account: Account
	readonly changes: Change[]
}

export function read(scope: Scope, path: Path): Uint8Array | Errno {
	const node = find(scope, path, READ)
	return typeof node === 'string' ? node : node.value
}

/** The children's names in the order of their creation. */
export function directory(scope: Scope, path: Path): readonly string[] | Errno {
	const node = find(scope, path, READ)
	return typeof node === 'string' ? node : [...node.children.keys()]
}

export function generation(scope: Scope, path: Path): number | Errno {
	const node = find(scope, path, READ)
	return typeof node === 'string' ? node : node.generation
}

export function getPermissions(scope: Scope, path: Path): Permissions | Errno {
	const node = find(scope, path, READ)
	return typeof node === 'string' ? node : node.permissions
}

/** Creates the node and its missing parents when it is not there. */
export function write(scope: Scope, path: Path, value: Uint8Array): Errno | undefined {
	const node = find(scope, path, WRITE)
	if (node === 'ENOENT') return create(scope, path, value)
	if (typeof node === 'string') return node
	const next = { value, permissions: node.permissions }
	const refused = sizeRefused(scope, nodeBytes(next) + childListBytes(node), value.length - node.value.length)
	if (refused !== undefined) return refused
	scope.tree.put(path, next)
	changed(scope, path, [node.permissions])
	return undefined
}

export function mkdir(scope: Scope, path: Path): Errno | undefined {
	const node = find(scope, path, WRITE)
	if (node === 'ENOENT') return create(scope, path, NO_BYTES)
	return typeof node === 'string' ? node : undefined
}

/** Removes a node and all below it. No error when only the node itself is missing. */
export function rm(scope: Scope, path: Path): Errno | undefined {
	const node = find(scope, path, WRITE)
	if (node === 'ENOENT') return scope.tree.get(parentOf(path)) === undefined ? 'ENOENT' : undefined
	if (typeof node === 'string') return node
	if (path === ROOT) return 'EINVAL'
	removeNode(scope, path, node)
	return undefined
}

export function setPermissions(scope: Scope, path: Path, permissions: Permissions): Errno | undefined {
	if (!isPrivileged(scope.subject) && exceeds(scope.limits['node-permissions'], permissions.length)) return 'ENOSPC'
	const node = find(scope, path, WRITE | OWNER)
	if (typeof node === 'string') return node
	if (!isPrivileged(scope.subject) && ownerOf(permissions) !== ownerOf(node.permissions)) return 'EPERM'
	const next = { value: node.value, permissions }
	const refused = sizeRefused(scope, nodeBytes(next) + childListBytes(node), nodeBytes(next) - nodeBytes(node))
	if (refused !== undefined) return refused
	scope.tree.put(path, next)
	changed(scope, path, [permissions, node.permissions])
	return undefined
}

/** When a domain is gone: its nodes go with all below them, and its name goes from the permissions of all others. */
export function removeDomain(scope: Scope, domid: number): void {
	const visit = (path: Path, node: Node): void => {
		if (path !== ROOT && ownerOf(node.permissions) === domid) {
			removeNode(scope, path, node)
			return
		}
		const kept = withoutDomain(node.permissions, domid)
		if (kept.length !== node.permissions.length) scope.tree.put(path, { value: node.value, permissions: kept })
		for (const [name, child] of node.children) visit(childOf(path, name), child)
	}
	visit(ROOT, scope.tree.root)
}

export function withoutDomain(permissions: Permissions, domid: number): Permissions {
	const [owner, ...others] = permissions
	return [owner, ...others.filter((entry) => entry.domid !== domid)]
}

/**
 * The node, if the subject has all the rights that it needs. Whoever has none in the nearest existing ancestor either learns only
 * EACCES, not whether the node exists.
 */
function find(scope: Scope, path: Path, needed: number): Node | Errno {
	const { node, ancestor } = scope.tree.walk(path)
	if (node !== undefined && (accessBits(node.permissions, scope.subject) & needed) === needed) return node
	const mayKnow = (accessBits(ancestor.permissions, scope.subject) & needed) !== 0
	return node === undefined && mayKnow ? 'ENOENT' : 'EACCES'
}

/** New nodes inherit their parent's permissions; an unprivileged domain owns what it creates. */
function create(scope: Scope, path: Path, value: Uint8Array): Errno | undefined {
	const { tree, subject } = scope
	const { ancestor, missing } = tree.walk(path)
	const [inherited, ...others] = ancestor.permissions
	const permissions: Permissions = isPrivileged(subject) ? ancestor.permissions : [{ ...inherited, domid: subject.domid }, ...others]
	const refused = creationRefused(scope, path, ancestor, missing, nodeBytes({ value, permissions }))
	if (refused !== undefined) return refused
	tree.put(path, { value, permissions })
	changed(scope, path, [permissions])
	return undefined
}

function creationRefused(scope: Scope, path: Path, parent: Node, count: number, size_bytes: number): Errno | undefined {
	if (isPrivileged(scope.subject)) return undefined
	if (exceeds(scope.limits.nodes, scope.tree.usage(scope.subject.domid).nodes + count)) return 'ENOSPC'
	const names = elements(path)
	const newName = names[names.length - count]
	if (exceeds(scope.limits['node-size'], nodeBytes(parent) + childListBytes(parent) + newName.length + 1)) return 'ENOSPC'
	return sizeRefused(scope, size_bytes, size_bytes * count)
}

function sizeRefused(scope: Scope, size_bytes: number, added_bytes: number): Errno | undefined {
	if (isPrivileged(scope.subject)) return undefined
	if (exceeds(scope.limits['node-size'], size_bytes)) return 'ENOSPC'
	const usage = scope.tree.usage(scope.subject.domid)
	return added_bytes > 0 && memoryExceeded(scope.limits, usage, scope.account, added_bytes) ? 'ENOMEM' : undefined
}

function removeNode(scope: Scope, path: Path, node: Node): void {
	const parent = scope.tree.get(parentOf(path))!
	reportRemoved(scope.changes, path, node, parent, true)
	scope.tree.remove(path)
}

function reportRemoved(changes: Change[], path: Path, node: Node, parent: Node, ancestorsHear: boolean): void {
	for (const [name, child] of node.children) reportRemoved(changes, childOf(path, name), child, node, false)
	changes.push({ path, ancestorsHear, readableUnder: [node.permissions, parent.permissions] })
}

function changed(scope: Scope, path: Path, permissions: Permissions[]): void {
	const parent = path === ROOT ? [] : [scope.tree.get(parentOf(path))!.permissions]
	scope.changes.push({ path, ancestorsHear: true, readableUnder: [...permissions, ...parent] })
}
