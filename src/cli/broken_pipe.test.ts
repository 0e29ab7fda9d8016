import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('a reader that goes away ends xm, xend and xendomains without a word', async () => {
	for (const [program, ...words] of [['./xm.ts', 'help'], ['../daemon/xend.ts', 'help'], ['./xendomains_main.ts']] as const) {
		const path = fileURLToPath(new URL(program, import.meta.url))
		const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path, ...words])
		child.stdout.destroy()
		let err = ''
		child.stderr.on('data', (chunk: Buffer) => {
			err += chunk.toString('utf8')
		})
		await once(child, 'close')
		assert.equal(err, '', program)
	}
})
