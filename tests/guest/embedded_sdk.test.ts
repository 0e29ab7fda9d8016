import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts'
import { EmbeddedXen } from '../../src/sdk/embedded.ts'
import { ender, SLEEPER } from '../support/tiny_kernel.ts'

test('EmbeddedXen runs domains in this process, and leaves nothing of them', async () => {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	const file = (name: string, data: Uint8Array) => {
		writeFileSync(join(directory, name), data)
		return join(directory, name)
	}
	const ender0 = file('ender', ender(SHUTDOWN_poweroff))
	const sleeper = file('sleeper', SLEEPER)
	{
		await using xen = await EmbeddedXen.start()
		await using short = await xen.create({ name: 'short', kernel: ender0, memory: 4 }, { paused: true })
		await using events = await xen.events()
		await short.unpause()
		for await (const event of events) {
			if (event.type !== 'ended') continue
			assert.equal(event.reason, 'poweroff')
			break
		}
		const long = await xen.create({ name: 'long', kernel: sleeper, memory: 4 })
		assert.deepEqual(
			(await xen.list()).map(({ name }) => name),
			['Domain-0', 'long'],
		)
		await assert.rejects(xen.create({ name: 'none', kernel: join(directory, 'none') }), { code: 'no-image' })
		await long.pause()
		assert.match((await long.info()).state, /p/)
	}
	rmSync(directory, { recursive: true })
})
