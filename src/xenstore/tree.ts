import { elements, type Path } from './path.ts'
import { ownerOf, type Permissions } from './permissions.ts'

/** A node is never changed: a store's state is its root, and keeping the root keeps the state. */
export interface Node {
	readonly value: Uint8Array
	readonly permissions: Permissions
	/** In the order of creation. */
	readonly children: ReadonlyMap<string, Node>
	/** Differs whenever value, permissions or the children's names differ; not for changes further down. */
	readonly generation: number
}

export type Content = Pick<Node, 'value' | 'permissions'>

/** What one domain's nodes take up. */
export interface Usage {
	readonly nodes: number
	readonly bytes: number
}

export const NO_BYTES = new Uint8Array(0)
const NO_CHILDREN: ReadonlyMap<string, Node> = new Map()
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
 */
export class Tree {
	#root: Node
	#owned: ReadonlyMap<number, Usage>
	readonly #generations: { last: number }

	private constructor(root: Node, owned: ReadonlyMap<number, Usage>, generations: { last: number }) {
		this.#root = root
		this.#owned = owned
		this.#generations = generations
	}

	/** A store with nothing but a root, owned by dom0. */
	static empty(): Tree {
		const permissions: Permissions = [{ access: 'n', domid: 0 }]
		const root: Node = { value: NO_BYTES, permissions, children: NO_CHILDREN, generation: 1 }
		return new Tree(root, new Map([[0, { nodes: 1, bytes: nodeBytes(root) }]]), { last: 1 })
	}

	fork(): Tree {
		return new Tree(this.#root, this.#owned, this.#generations)
	}

	/** Takes over another view's state. */
	adopt(other: Tree): void {
		this.#root = other.#root
		this.#owned = other.#owned
	}

	/** True when nothing at all differs between the two. */
	sameAs(other: Tree): boolean {
		return this.#root === other.#root
	}

	get root(): Node {
		return this.#root
	}

	usage(domid: number): Usage {
		return this.#owned.get(domid) ?? NO_USAGE
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
		const owned = new Map(this.#owned)
		this.#root = this.#put(this.#root, elements(path), 0, content, owned)
		this.#owned = owned
	}

	/** Removes an existing node other than the root, with all below it. */
	remove(path: Path): void {
		const node = this.get(path)
		if (node === undefined) return
		const owned = new Map(this.#owned)
		forEachBelow(node, (gone) => charge(owned, gone, -1))
		this.#owned = owned
		this.#root = this.#remove(this.#root, elements(path), 0)
	}

	#put(node: Node | undefined, names: readonly string[], level: number, content: Content, owned: Map<number, Usage>): Node {
		if (level === names.length) {
			if (node !== undefined) charge(owned, node, -1)
			return this.#charged({ ...content, children: node?.children ?? NO_CHILDREN, generation: this.#nextGeneration() }, owned)
		}
		const name = names[level]
		const child = node?.children.get(name)
		const next = this.#put(child, names, level + 1, content, owned)
		const children = new Map(node?.children).set(name, next)
		if (node === undefined) {
			return this.#charged({ value: NO_BYTES, permissions: content.permissions, children, generation: this.#nextGeneration() }, owned)
		}
		return { ...node, children, generation: child === undefined ? this.#nextGeneration() : node.generation }
	}

	#remove(node: Node, names: readonly string[], level: number): Node {
		const name = names[level]
		const children = new Map(node.children)
		if (level === names.length - 1) {
			children.delete(name)
			return { ...node, children, generation: this.#nextGeneration() }
		}
		children.set(name, this.#remove(node.children.get(name)!, names, level + 1))
		return { ...node, children }
	}

	#charged(node: Node, owned: Map<number, Usage>): Node {
		charge(owned, node, 1)
		return node
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

function forEachBelow(node: Node, visit: (node: Node) => void): void {
	visit(node)
	for (const child of node.children.values()) forEachBelow(child, visit)
}

function charge(owned: Map<number, Usage>, node: Node, sign: 1 | -1): void {
	const owner = ownerOf(node.permissions)
	const { nodes, bytes } = owned.get(owner) ?? NO_USAGE
	if (nodes + sign === 0) owned.delete(owner)
	else owned.set(owner, { nodes: nodes + sign, bytes: bytes + sign * nodeBytes(node) })
}
