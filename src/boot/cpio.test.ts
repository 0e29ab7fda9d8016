import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeCpio } from './cpio.ts'
import { buildInitramfs } from './initramfs.ts'

interface Read {
	readonly mode: number
	readonly device: readonly [number, number]
	readonly data: string
}

/** Reads a newc archive back as Linux's init/initramfs.c does: header, name, data, each padded to four bytes. */
function readCpio(archive: Uint8Array): Map<string, Read> {
	const text = (from: number, to: number) => new TextDecoder().decode(archive.subarray(from, to))
	const entries = new Map<string, Read>()
	for (let at = 0; ; ) {
		assert.equal(text(at, at + 6), '070701')
		const field = (index: number) => Number.parseInt(text(at + 6 + index * 8, at + 14 + index * 8), 16)
		const nameEnd = at + 110 + field(11)
		const name = text(at + 110, nameEnd - 1)
		const dataAt = Math.ceil(nameEnd / 4) * 4
		if (name === 'TRAILER!!!') return entries
		entries.set(name, { mode: field(1), device: [field(9), field(10)], data: text(dataAt, dataAt + field(6)) })
		at = Math.ceil((dataAt + field(6)) / 4) * 4
	}
}

test('writeCpio() writes directories, files, symlinks and devices', () => {
	const entries = readCpio(
		writeCpio([
			{ type: 'directory', path: 'dev' },
			{ type: 'file', path: 'hello', data: new TextEncoder().encode('world'), mode: 0o755 },
			{ type: 'symlink', path: 'link', target: '/hello' },
			{ type: 'character', path: 'dev/console', major: 5, minor: 1 },
		]),
	)
	assert.deepEqual([...entries.keys()], ['dev', 'hello', 'link', 'dev/console'])
	assert.equal(entries.get('dev')!.mode, 0o040755)
	assert.deepEqual(entries.get('hello'), { mode: 0o100755, device: [0, 0], data: 'world' })
	assert.deepEqual(entries.get('link'), { mode: 0o120777, device: [0, 0], data: '/hello' })
	assert.deepEqual(entries.get('dev/console'), { mode: 0o020600, device: [5, 1], data: '' })
})

test('buildInitramfs() has what PID 1 needs, modules in order, and further files with their directories', () => {
	const busybox = new TextEncoder().encode('busybox')
	const modules = ['xen-privcmd', 'xenfs'].map((name) => ({ name, data: new TextEncoder().encode(name) }))
	const files = [{ path: '/bench/data/sort', data: new Uint8Array(3), executable: true }]
	const entries = readCpio(buildInitramfs({ busybox, modules, files }))
	assert.equal(entries.get('init')!.mode, 0o100755)
	assert.equal(entries.get('bin/busybox')!.data, 'busybox')
	assert.equal(entries.get('bin/sh')!.data, '/bin/busybox')
	assert.equal(entries.get('lib/modules/xen.order')!.data, 'xen-privcmd\nxenfs\n')
	assert.equal(entries.get('lib/modules/xenfs.ko')!.data, 'xenfs')
	assert.equal(entries.get('bench/data')!.mode, 0o040755)
	assert.equal(entries.get('bench/data/sort')!.mode, 0o100755)
	const names = [...entries.keys()]
	assert.ok(names.indexOf('bench') < names.indexOf('bench/data') && names.indexOf('bench/data') < names.indexOf('bench/data/sort'))
})
