import { elements, type Path } from './path.ts'
import { ownerOf, type Permissions } from './permissions.ts'

/** To everyone but its tree a node never changes; what a tree may change in place is said there. */
export interface Node {
	readonly value: Uint8Array
	readonly permissions: Permissions
	/** In the order of creation. */
	readonly children: ReadonlyMap<string, Node>
	/** Differs whenever value, permissions or the children's names differ; not for changes further down. */
	readonly generation: number
}

export type Content = Pick<Node, 'value' | 'permissions'>

/** One change of a tree: a node's new content, or undefined when it is removed with all below it. */
export interface Edit {
	readonly path: Path
	readonly content: Content | undefined
}

/** What one domain's nodes take up. */
export interface Usage {
	readonly nodes: number
	readonly bytes: number
}

export const NO_BYTES = new Uint8Array(0)
const NO_CHILDREN: ReadonlyMap<string, Node> = new Map()
const NO_EDITS: readonly Edit[] = []
const NO_USAGE: Usage = { nodes: 0, bytes: 0 }

const NODE_HEADER_BYTES = 16
const PERMISSION_BYTES = 8

/** Where a walk along a path ended. */
export interface Walk {
	/** The node at the path, if there is one. */
	readonly node: Node | undefined
	/** The nearest node above the path that exists (the root for the root itself). */
	readonly ancestor: Node
	/** How many nodes are missing from the path, its own included. */
	readonly missing: number
}

/**
 * One view of the store: a root and the account of who owns how much under it. A fork costs nothing and is independent afterwards.
 *
 * A change makes new nodes and new maps along its path and leaves all others as they are, so whoever has the old root has the old
 * state. Maps that this view made since its last fork are in nobody else's hands: `#own` lets those be changed in place, and only those.
 * After a fork the first change therefore makes a new root.
 */
export class Tree {
	#root: Node
	#usage: ReadonlyMap<number, Usage>
	#mine = new WeakSet<ReadonlyMap<unknown, unknown>>()
	readonly #generations: { last: number }
	/** What was changed since takeEdits(), if that is recorded. */
	#edits: Edit[] | undefined

	private constructor(root: Node, usage: ReadonlyMap<number, Usage>, generations: { last: number }) {
		this.#root = root
		this.#usage = usage
		this.#generations = generations
	}

	/** A store with nothing but a root, owned by dom0. */
	static empty(): Tree {
		const permissions: Permissions = [{ access: 'n', domid: 0 }]
		const root: Node = { value: NO_BYTES, permissions, children: NO_CHILDREN, generation: 1 }
		return new Tree(root, new Map([[0, { nodes: 1, bytes: nodeBytes(root) }]]), { last: 1 })
	}

	fork(): Tree {
		this.#mine = new WeakSet()
		const fork = new Tree(this.#root, this.#usage, this.#generations)
		if (this.#edits !== undefined) fork.recordEdits()
		return fork
	}

	/** Takes over the state of another view, which must not be used any more. */
	adopt(other: Tree): void {
		this.#root = other.#root
		this.#usage = other.#usage
		this.#mine = other.#mine
		if (other.#edits !== undefined) this.#edits?.push(...other.#edits)
	}

	/** From now on changes are recorded, also those of forks. */
	recordEdits(): void {
		this.#edits = []
	}

	/** What was changed since the last call, in order. */
	takeEdits(): readonly Edit[] {
		const edits = this.#edits
		if (edits === undefined || edits.length === 0) return NO_EDITS
		this.#edits = []
		return edits
	}

	/** No generation below `first` is given from now on. */
	skipGenerations(first: number): void {
		this.#generations.last = Math.max(this.#generations.last, first)
	}

	get lastGeneration(): number {
		return this.#generations.last
	}

	/** True when this view has not changed since it was forked into the other, and the other has not either. */
	sameAs(other: Tree): boolean {
		return this.#root === other.#root
	}

	get root(): Node {
		return this.#root
	}

	usage(domid: number): Usage {
		return this.#usage.get(domid) ?? NO_USAGE
	}

	get(path: Path): Node | undefined {
		return this.walk(path).node
	}

	walk(path: Path): Walk {
		const names = elements(path)
		let node = this.#root
		let ancestor = node
		for (let i = 0; i < names.length; i++) {
			const next = node.children.get(names[i])
			if (next === undefined) return { node: undefined, ancestor: node, missing: names.length - i }
			ancestor = node
			node = next
		}
		return { node, ancestor, missing: 0 }
	}

	/** Creates or changes a node; missing parents are made with the same permissions and no value. */
	put(path: Path, content: Content): void {
		this.#edits?.push({ path, content })
		this.#root = this.#put(this.#root, elements(path), 0, content)
	}

	/** Removes an existing node other than the root, with all below it. */
	remove(path: Path): void {
		const node = this.get(path)
		if (node === undefined) return
		this.#edits?.push({ path, content: undefined })
		this.#chargeBelow(node, -1)
		this.#root = this.#remove(this.#root, elements(path), 0)
	}

	#put(node: Node | undefined, names: readonly string[], level: number, content: Content): Node {
		if (level === names.length) {
			if (node !== undefined) this.#charge(node, -1)
			return this.#created(content, node?.children ?? NO_CHILDREN)
		}
		const name = names[level]
		const child = node?.children.get(name)
		const next = this.#put(child, names, level + 1, content)
		if (node === undefined) return this.#created({ value: NO_BYTES, permissions: content.permissions }, new Map([[name, next]]))
		if (next === child) return node
		const children = this.#own(node.children).set(name, next)
		return this.#withChildren(node, children, child === undefined)
	}

	#remove(node: Node, names: readonly string[], level: number): Node {
		const name = names[level]
		if (level === names.length - 1) {
			const children = this.#own(node.children)
			children.delete(name)
			return this.#withChildren(node, children, true)
		}
		const child = node.children.get(name)!
		const next = this.#remove(child, names, level + 1)
		return next === child ? node : this.#withChildren(node, this.#own(node.children).set(name, next), false)
	}

	#created(content: Content, children: ReadonlyMap<string, Node>): Node {
		const node = { value: content.value, permissions: content.permissions, children, generation: this.#nextGeneration() }
		this.#charge(node, 1)
		return node
	}

	#withChildren(node: Node, children: ReadonlyMap<string, Node>, namesChanged: boolean): Node {
		if (children === node.children && !namesChanged) return node
		const { value, permissions } = node
		return { value, permissions, children, generation: namesChanged ? this.#nextGeneration() : node.generation }
	}

	/** The map itself if it is this view's alone, else a copy that is. */
	#own<K, V>(map: ReadonlyMap<K, V>): Map<K, V> {
		if (this.#mine.has(map)) return map as Map<K, V>
		const copy = new Map(map)
		this.#mine.add(copy)
		return copy
	}

	#chargeBelow(node: Node, sign: 1 | -1): void {
		this.#charge(node, sign)
		for (const child of node.children.values()) this.#chargeBelow(child, sign)
	}

	#charge(node: Node, sign: 1 | -1): void {
		const owner = ownerOf(node.permissions)
		const usage = this.#own(this.#usage)
		this.#usage = usage
		const { nodes, bytes } = usage.get(owner) ?? NO_USAGE
		if (nodes + sign === 0) usage.delete(owner)
		else usage.set(owner, { nodes: nodes + sign, bytes: bytes + sign * nodeBytes(node) })
	}

	#nextGeneration(): number {
		return ++this.#generations.last
	}
}

/** What a node counts for against the quota on a node's size: header, permissions and value. */
export function nodeBytes(node: Content): number {
	return NODE_HEADER_BYTES + node.permissions.length * PERMISSION_BYTES + node.value.length
}

/** The length of the children's names as XS_DIRECTORY returns them. */
export function childListBytes(node: Node): number {
	let size = 0
	for (const name of node.children.keys()) size += name.length + 1
	return size
}
