import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SourceState } from './source_state.ts'

test('check() throws once a source has been written anew, or is gone, and says what to do', () => {
	const root = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	try {
		for (const folder of ['abi', 'base', 'platform/node', 'wasm', 'x86', 'xen', 'cli']) mkdirSync(join(root, folder), { recursive: true })
		const write = (file: string, text: string) => writeFileSync(join(root, file), text)
		const files = ['platform/node/worker.ts', 'xen/vcpu.ts', 'xen/vcpu.test.ts', 'cli/main.ts']
		for (const file of files) write(file, 'a')
		const state = new SourceState(root)
		state.check()
		for (const file of ['xen/vcpu.test.ts', 'cli/main.ts', 'xen/other.ts']) write(file, 'another')
		state.check()
		write('platform/node/worker.ts', 'another')
		assert.throws(() => state.check(), { code: 'sources-changed', message: /^src\/platform\/node\/worker\.ts .* 'xend restart'/ })

		const second = new SourceState(root)
		second.check()
		rmSync(join(root, 'xen/vcpu.ts'))
		assert.throws(() => second.check(), /^UserError: src\/xen\/vcpu\.ts of Xenotype has changed/)
	} finally {
		rmSync(root, { recursive: true })
	}
})

test('the sources of this process are found', () => {
	new SourceState().check()
})
