import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { guests, inShell, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

// A compiler that writes the code it runs, in a guest: this very Node, whose V8 makes machine code of JavaScript, regular expressions and WebAssembly, makes it
// better while it runs, and throws it away again.

const { assets, skip: withoutGuest } = await guests('cloud-6.1')
const skip = process.platform === 'linux' && process.arch === 'x64' ? withoutGuest : 'this Node is no program of x86-64 Linux'
const WORK = fileURLToPath(new URL('../support/javascript_work.mjs', import.meta.url))
/** Node's program file is there twice while the kernel unpacks the initramfs. */
const MEMORY_MIB = 640

/** The dynamic linker, and the libraries that this Node is linked with: paths of this host. */
function libraries(): string[] {
	return execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
}

const nameOf = (path: string) => path.split('/').at(-1)!

test('Node computes in a guest what it computes here', { skip, timeout: PATIENCE_MS }, async () => {
	const expected = execFileSync(process.execPath, [WORK], { encoding: 'utf8' })
	const paths = libraries()
	const linker = paths.map(nameOf).find((name) => name.startsWith('ld-linux'))
	assert.ok(linker !== undefined, `no dynamic linker among ${paths}`)
	const programs = [process.execPath, WORK, ...paths].map((path) => [nameOf(path), readFileSync(path)])
	await using xend = new PrivateXend()
	const guest = xend.config('guest', assets['cloud-6.1']!, 'console=hvc0 quiet', Object.fromEntries(programs))
	const console = xend.start('create', '-q', '-c', guest, `memory=${MEMORY_MIB}`)
	await console.shown(/root@domU:\/# /)
	await xend.xm('debug-keys', 'P')
	const { output, status } = await inShell(
		console,
		`cd /test; chmod +x ${linker}; ./${linker} --library-path . ./${nameOf(process.execPath)} ${nameOf(WORK)}`,
	)
	assert.deepEqual({ output, status }, { output: expected, status: 0 })
	await xend.xm('debug-keys', 'p')
	const log = (await xend.xm('dmesg')).out
	assert.match(log, /code dropped: [1-9]\d* times by writes/, 'it wrote to pages that it had run code in')
})
