import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { InstalledPackage } from '../support/package.ts'
import { guests, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

const { assets, skip } = await guests('cloud-6.1')
const page = readFileSync(new URL('../../docs/sdk.md', import.meta.url), 'utf8')
const [firstProgram, ...pieces] = [...page.matchAll(/(?<=^```ts\n)[\s\S]*?(?=^```$)/gm)].map(([text]) => text) as [string, ...string[]]

test('the first program of docs/sdk.md compiles and runs, with the package as npm packs it', { skip, timeout: PATIENCE_MS }, async () => {
	using installed = new InstalledPackage()
	const program = installed.program('hello.ts', firstProgram)
	const others = pieces.map((text, n) =>
		installed.program(`${n}.ts`, `import { connect } from 'xenotype'\nconst xen = await connect()\n${text}`),
	)
	assert.ok(others.length > 0)
	assert.equal(installed.typeErrors(program, ...others), '')
	await using xend = new PrivateXend()
	const { kernel, ramdisk } = assets['cloud-6.1']!
	const { stdout } = await promisify(execFile)(process.execPath, [program, kernel, ramdisk!], {
		cwd: installed.directory,
		env: { ...process.env, XENOTYPE_RUNDIR: xend.rundir.path },
	})
	assert.match(stdout, /uname .*\r\nLinux 6\.1\.\S+\r\nxen\r\nhello ended: poweroff\n$/)
	assert.deepEqual(
		(await xend.client.list()).map(({ name }) => name),
		['Domain-0'],
	)
})
