import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { InstalledPackage } from '../support/package.ts'
import { guests, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

const { assets, skip } = await guests('cloud-6.1')
const page = readFileSync(new URL('../../docs/sdk.md', import.meta.url), 'utf8')
const [firstProgram, ...rest] = [...page.matchAll(/(?<=^```ts\n)[\s\S]*?(?=^```$)/gm)].map(([text]) => text) as [string, ...string[]]
const [embeddedProgram] = rest.filter((text) => text.includes('xenotype/embedded')) as [string]
const pieces = rest.filter((text) => text !== embeddedProgram)

test('the whole programs of docs/sdk.md compile and run, with the package as npm packs it', { skip, timeout: PATIENCE_MS }, async () => {
	using installed = new InstalledPackage()
	const program = installed.program('hello.ts', firstProgram)
	const others = pieces.map((text, n) =>
		installed.program(`${n}.ts`, `import { connect } from 'xenotype'\nconst xen = await connect()\n${text}`),
	)
	assert.ok(others.length > 0)
	const embedded = installed.program('embedded.ts', embeddedProgram)
	assert.equal(installed.typeErrors(program, embedded, ...others), '')
	await using xend = new PrivateXend()
	const { kernel, ramdisk } = assets['cloud-6.1']!
	const { stdout } = await promisify(execFile)(process.execPath, [program, kernel, ramdisk!], {
		cwd: installed.directory,
		env: { ...process.env, XENOTYPE_RUNDIR: xend.rundir.path },
	})
	assert.match(stdout, /uname .*\r\nLinux 6\.1\.\S+\r\nxen\r\nhello ended: poweroff\n$/)
	const own = await promisify(execFile)(process.execPath, [embedded, kernel, ramdisk!], { cwd: installed.directory })
	assert.equal(own.stdout, 'embedded hello ended\n')
	assert.deepEqual(
		(await xend.client.list()).map(({ name }) => name),
		['Domain-0'],
	)
})
