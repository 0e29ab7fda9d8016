import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compareVersions } from './debian_packages.ts'

const SCRIPT = fileURLToPath(new URL('../../../scripts/assets.ts', import.meta.url))
const cache = await mkdtemp(join(tmpdir(), 'xenotype-test-'))
after(() => rm(cache, { recursive: true }))

function assets(
	args: readonly string[],
	environment: Record<string, string>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, [SCRIPT, ...args], { env: { ...process.env, XDG_CACHE_HOME: cache, ...environment } })
		let stdout = ''
		let stderr = ''
		child.stdout.on('data', (data) => (stdout += data))
		child.stderr.on('data', (data) => (stderr += data))
		child.on('close', (code) => resolve({ code, stdout, stderr }))
	})
}

test('ensureGuestAssets() on a host without apt names the files to give, and leaves nothing behind', async () => {
	const { code, stdout, stderr } = await assets(['cloud-6.1'], { PATH: '/nonexistent' })
	assert.equal(code, 1)
	assert.equal(stdout, '')
	assert.match(stderr, /lacks apt-get.*kernel='.*' and ramdisk='/)
	assert.deepEqual(await readdir(cache), [])
})

test('ensureGuestAssets() refuses a guest it does not know, naming those it does', async () => {
	const { code, stderr } = await assets(['cloud-7.0'], {})
	assert.equal(code, 1)
	assert.match(stderr, /unknown guest 'cloud-7\.0'; known are .*cloud-6\.1/)
})

test('compareVersions() orders numbers by value', () => {
	const names = ['linux-image-6.1.0-9-amd64', 'linux-image-6.1.0-56-amd64', 'linux-image-6.1.0-10-amd64']
	assert.equal(names.sort((a, b) => compareVersions(b, a))[0], 'linux-image-6.1.0-56-amd64')
	assert.ok(compareVersions('6.12.117+deb12', '6.12.99+deb12') > 0)
	assert.equal(compareVersions('1.0', '1.0'), 0)
	assert.ok(compareVersions('1.0', '1.0.1') < 0)
})
