import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { anonymousMappings, fileMappings, momentOf, residentFilePages, residentMemory, threadShare } from './host_process.ts'

const linux = { skip: process.platform !== 'linux' && 'needs Linux' }

test('anonymousMappings() are those that can be read and written, and are no file', () => {
	const maps = `00400000-00746000 rw-p 00000000 00:00 12345   /bin/node
7f0000000000-7f0010000000 rw-p 00000000 00:00 0
7f0010000000-7f0020000000 ---p 00000000 00:00 0
7f0020000000-7f0030000000 rw-s 00000000 00:00 0
`
	assert.deepEqual(anonymousMappings(maps), [
		{ start: 0x7f00_0000_0000, end: 0x7f00_1000_0000 },
		{ start: 0x7f00_2000_0000, end: 0x7f00_3000_0000 },
	])
})

test('residentMemory() tells the touched pages of a large mapping from all other memory', linux, () => {
	const [pages, touched] = [65536 / 4, 1024]
	const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
	const before = residentMemory(process.pid, [], 1024)!
	const bytes = new Uint8Array(memory.buffer)
	for (let page = 0; page < touched; page++) bytes[bytes.length - 1 - page * 4096] = 1
	const after = residentMemory(process.pid, [], 1024)!
	assert.ok(before.guest_MiB < 1, `${before.guest_MiB} MiB before`)
	assert.ok(after.guest_MiB >= (touched * 4096) / 2 ** 20, `${after.guest_MiB} MiB after`)
	assert.ok(after.other_MiB > 10, `${after.other_MiB} MiB of other memory`)
})

test('fileMappings() are those of files, each by its device and inode', () => {
	const maps = `00400000-00746000 r-xp 00002000 08:01 12345   /bin/node
7f0000000000-7f0010000000 rw-p 00000000 00:00 0
7f0020000000-7f0030000000 rw-s 00000000 00:01 77  /dev/zero (deleted)
`
	assert.deepEqual(fileMappings(maps), [
		{ start: 0x40_0000, end: 0x74_6000, offset: 0x2000, file: '08:01 12345' },
		{ start: 0x7f00_2000_0000, end: 0x7f00_3000_0000, offset: 0, file: '00:01 77' },
	])
})

test('pages of files that several processes have count once', linux, () => {
	const once = residentFilePages([process.pid])
	const child = spawn(process.execPath, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1000)'], {
		stdio: ['ignore', 'pipe', 'ignore'],
	})
	return new Promise<void>((resolve) => child.stdout.once('data', () => resolve())).then(() => {
		const [alone, both] = [residentFilePages([child.pid!]), residentFilePages([process.pid, child.pid!])]
		child.kill()
		assert.ok(once > 1000 && alone > 1000, `${once} and ${alone} pages`)
		assert.ok(both < (once + alone) * 0.8, `${once} and ${alone} pages are ${both}`)
	})
})

test('a process that is not there has neither memory nor time', () => {
	assert.equal(residentMemory(2 ** 30, [], 1), null)
	assert.equal(momentOf([process.pid, 2 ** 30]), null)
	assert.ok(Number.isNaN(threadShare(null, momentOf([process.pid]))))
})
