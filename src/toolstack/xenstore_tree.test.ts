import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connectInProcess, type XenstoreNodes } from '../xenstore/client.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import { type DomainTree, removeDomainTree, writeDom0Tree, writeDomainTree } from './xenstore_tree.ts'

const UUID = '0f3c9a54-52a1-4b6e-9c8e-5d3a1e7c0b42'

const domain: DomainTree = {
	domid: 7,
	uuid: UUID,
	name: 'guest',
	memory_kib: 262144,
	maxMemory_kib: 524288,
	vcpusOnline: [true],
	storePort: 1,
	storeMfn: 0x3e01,
	consolePort: 2,
	consoleMfn: 0x3e02,
	consoleLimit_bytes: 1048576,
	consoleTty: '',
	kernel: '/boot/vmlinuz',
	ramdisk: '/boot/initrd.img',
	cmdline: 'console=hvc0',
	startTime_s: 1795332584.7712,
}

interface Listed {
	path: string
	permissions: string
	value: string
}

/** What `xenstore-ls -f -p` prints, as data and in its order. */
async function list(nodes: XenstoreNodes, path = ''): Promise<Listed[]> {
	const listed: Listed[] = []
	for (const name of (await nodes.ls(path || '/'))!) {
		const at = `${path}/${name}`
		listed.push({ path: at, permissions: (await nodes.getPerms(at))!.join(), value: (await nodes.read(at))! })
		listed.push(...(await list(nodes, at)))
	}
	return listed
}

function expected(): { path: string; permissions: string; value: string | undefined }[] {
	const text = readFileSync(new URL('../../tests/fixtures/xenstore/plain_pv_domain.txt', import.meta.url), 'utf8')
	const lines = text.replaceAll('DOMID', String(domain.domid)).replaceAll('UUID', UUID).split('\n')
	return lines
		.filter((line) => line !== '' && !line.startsWith('#'))
		.map((line) => {
			const [path, permissions, value] = line.replace('*', '').split(' ')
			return { path, permissions, value }
		})
}

const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1)

async function started() {
	const client = connectInProcess(new XenstoreServer())
	await writeDom0Tree(client, { memory_kib: 1048576 })
	return client
}

test('a domain has the nodes that xl gives a plain PV domain, with the same permissions and constant values', async () => {
	const client = await started()
	await writeDomainTree(client, domain)
	const wanted = expected().sort(byPath)
	const got = (await list(client)).sort(byPath)
	assert.deepEqual(
		got.map(({ path, permissions }) => `${path} ${permissions}`),
		wanted.map(({ path, permissions }) => `${path} ${permissions}`),
	)
	for (const [i, { path, value }] of wanted.entries()) if (value !== undefined) assert.equal(got[i].value, value, path)
})

test("a domain's own directory is listed in the order in which xl makes it", async () => {
	const client = await started()
	await writeDomainTree(client, domain)
	const children = (of: { path: string }[]) =>
		of.map(({ path }) => path).filter((path) => /^\/(local\/domain\/7|vm\/[^/]+|libxl\/7\/device\/console\/0)\/[^/]+(\/[^/]+)?$/.test(path))
	assert.deepEqual(children(await list(client)), children(expected()))
})

test('what depends on the domain is in its nodes', async () => {
	const client = await started()
	await writeDomainTree(client, { ...domain, vcpusOnline: [true, false] })
	const values = {
		'/local/domain/7/memory/target': '262144',
		'/local/domain/7/memory/static-max': '524288',
		'/local/domain/7/cpu/1/availability': 'offline',
		'/local/domain/7/store/port': '1',
		'/local/domain/7/store/ring-ref': '15873',
		'/local/domain/7/console/port': '2',
		'/local/domain/7/console/ring-ref': '15874',
		[`/vm/${UUID}/image/cmdline`]: 'console=hvc0',
		[`/vm/${UUID}/start_time`]: '1795332584.77',
	}
	for (const [path, value] of Object.entries(values)) assert.equal(await client.read(path), value, path)
})

test('when a domain is removed the store is as it was before', async () => {
	const client = await started()
	const before = await list(client)
	await writeDomainTree(client, domain)
	await writeDomainTree(client, { ...domain, domid: 8, uuid: UUID.replace('0f', '1f') })
	await removeDomainTree(client, domain)
	assert.equal((await list(client)).filter(({ path }) => path.includes('/7')).length, 0)
	assert.equal(await client.read('/local/domain/0/backend/console/8/0/online'), '1')
	await removeDomainTree(client, { domid: 8, uuid: UUID.replace('0f', '1f') })
	const after = (await list(client)).map(({ path }) => path)
	assert.deepEqual(
		after.filter((path) => path !== '/vm' && path !== '/libxl'),
		before.map(({ path }) => path),
	)
})
