import assert from 'node:assert/strict'
import { test } from 'node:test'
import { childOf, type Path, ROOT } from './path.ts'
import type { Permissions } from './permissions.ts'
import { type Node, nodeBytes, Tree } from './tree.ts'

const owned = (domid: number): Permissions => [{ access: 'n', domid }]
const bytes = (text: string) => new TextEncoder().encode(text)

function contents(tree: Tree): Map<string, string> {
	const all = new Map<string, string>()
	const visit = (path: Path, node: Node): void => {
		all.set(path, `${node.permissions[0].domid} ${new TextDecoder().decode(node.value)}`)
		for (const [name, child] of node.children) visit(childOf(path, name), child)
	}
	visit(ROOT, tree.root)
	return all
}

/** What the tree's accounts should be, counted anew. */
function usage(tree: Tree, domid: number): { nodes: number; bytes: number } {
	const total = { nodes: 0, bytes: 0 }
	const visit = (node: Node): void => {
		if (node.permissions[0].domid === domid) {
			total.nodes++
			total.bytes += nodeBytes(node)
		}
		node.children.forEach(visit)
	}
	visit(tree.root)
	return total
}

test('forks are independent of each other and of what they came from, whatever is changed in which order', () => {
	let state = 12345
	const random = (below: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % below
	const views: { tree: Tree; model: Map<string, string> }[] = [{ tree: Tree.empty(), model: new Map([['/', '0 ']]) }]
	for (let step = 0; step < 4000; step++) {
		const view = views[random(views.length)]
		const names = Array.from({ length: 1 + random(4) }, () => 'abcd'[random(4)])
		const path = `/${names.join('/')}` as Path
		const choice = random(10)
		if (choice === 0 && views.length < 8) views.push({ tree: view.tree.fork(), model: new Map(view.model) })
		else if (choice === 1 && views.length > 4) views.splice(random(views.length), 1)
		else if (choice < 4) {
			view.tree.remove(path)
			for (const key of [...view.model.keys()]) if (key === path || key.startsWith(`${path}/`)) view.model.delete(key)
		} else {
			const owner = random(3)
			view.tree.put(path, { value: bytes(String(step)), permissions: owned(owner) })
			for (let i = 1; i < names.length; i++) {
				const parent = `/${names.slice(0, i).join('/')}`
				if (!view.model.has(parent)) view.model.set(parent, `${owner} `)
			}
			view.model.set(path, `${owner} ${step}`)
		}
		if (step % 50 !== 0) continue
		for (const { tree, model } of views) {
			assert.deepEqual(contents(tree), model)
			for (const domid of [0, 1, 2]) assert.deepEqual(tree.usage(domid), usage(tree, domid))
		}
	}
})

test("a generation changes with the value, the permissions and the children's names, and not with what is further down", () => {
	const tree = Tree.empty()
	const put = (path: string, text: string, domid = 0) => tree.put(path as Path, { value: bytes(text), permissions: owned(domid) })
	const generation = () => tree.get('/a' as Path)!.generation
	put('/a/b', '')
	let last = generation()
	const changes = (change: () => void) => {
		change()
		const now = generation()
		const different = now !== last
		last = now
		return different
	}
	assert.equal(
		changes(() => put('/a', 'x')),
		true,
	)
	assert.equal(
		changes(() => put('/a', 'x', 1)),
		true,
	)
	assert.equal(
		changes(() => put('/a/c', '')),
		true,
	)
	assert.equal(
		changes(() => put('/a/b', 'y')),
		false,
	)
	assert.equal(
		changes(() => put('/a/b/d', '')),
		false,
	)
	assert.equal(
		changes(() => tree.remove('/a/b/d' as Path)),
		false,
	)
	assert.equal(
		changes(() => tree.remove('/a/c' as Path)),
		true,
	)
})
