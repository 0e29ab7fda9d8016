import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunDir } from '../../src/daemon/rundir.ts'
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import type { XenstoreClient } from '../../src/xenstore/client.ts'
import { kill, xenstoredPid } from '../support/processes.ts'
import { delay, guests, PrivateXend } from '../support/xend.ts'

// xenstored alone is killed with -9 while a real kernel has watches and backends' nodes in the store.

const { assets, skip } = await guests('cloud-6.1')

/** The store of the xenstored that xend starts after another. */
async function nextStore(rundir: RunDir, before: number): Promise<XenstoreClient> {
	for (;;) {
		const pid = xenstoredPid(rundir)
		if (pid !== undefined && pid !== before) {
			const store = await connectXenstore(rundir.xenstore).catch(() => undefined)
			if (store !== undefined) return store
		}
		await delay(20)
	}
}

test('xenstored is killed: the next has every node and watch, and the guest goes on with it', { skip, timeout: 120_000 }, async () => {
	await using xend = new PrivateXend()
	const created = await xend.xm('create', '-q', xend.config('web', assets['cloud-6.1']!, 'console=hvc0'))
	assert.equal(created.status, 0, created.err)
	const console = xend.start('console', 'web')
	await console.shown(/\/# /)

	let before = xenstoredPid(xend.rundir)!
	let store = await connectXenstore(xend.rundir.xenstore)
	await store.write('/local/domain/1/data/mark', 'kept')
	await store.setPerms('/local/domain/1/data/mark', ['n1', 'r7'])
	await store.write('/elsewhere', '1')
	const tree = async (path: string): Promise<unknown> => {
		const names = (await store.ls(path)) ?? []
		const join = (name: string) => (path === '/' ? `/${name}` : `${path}/${name}`)
		return [path, await store.read(path), await store.getPerms(path), ...(await Promise.all(names.map((name) => tree(join(name)))))]
	}
	const nodes = await tree('/')
	for (let kills = 0; kills < 3; kills++) {
		store.close()
		await kill(before)
		store = await nextStore(xend.rundir, before)
		before = xenstoredPid(xend.rundir)!
		assert.deepEqual(await tree('/'), nodes)
		assert.equal(await store.isDomainIntroduced(1), true)
	}
	store.close()
	await delay(500)
	// The guest's own watch on control/shutdown.
	const ended = await xend.xm('shutdown', '-w', 'web')
	assert.equal(ended.status, 0, ended.err)
})
