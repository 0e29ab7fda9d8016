import assert from 'node:assert/strict'
import { test } from 'node:test'
import { depthBelow, type Path, parsePath } from './path.ts'

test('absolute paths stay as they are, relative ones belong to the domain', () => {
	assert.equal(parsePath('/', 3), '/')
	assert.equal(parsePath('/local/domain/0/a-b_c@d', 3), '/local/domain/0/a-b_c@d')
	assert.equal(parsePath('device/vbd/51712', 3), '/local/domain/3/device/vbd/51712')
})

test('special paths are paths only where they are allowed', () => {
	assert.equal(parsePath('@releaseDomain', 3, true), '@releaseDomain')
	assert.equal(parsePath('@releaseDomain/7', 3, true), '@releaseDomain/7')
	assert.equal(parsePath('@releaseDomain', 3), undefined)
})

test('empty, ill-formed and overlong paths are refused', () => {
	for (const text of ['', '//', '/a//b', '/a/', 'a/', 'a b', '/a.b', '/é', '/a\0b', '/a\n'])
		assert.equal(parsePath(text, 0), undefined, text)
	assert.equal(parsePath(`/${'a'.repeat(3071)}`, 0)?.length, 3072)
	assert.equal(parsePath(`/${'a'.repeat(3072)}`, 0), undefined)
	assert.equal(parsePath('a'.repeat(2048), 0)?.length, 2048 + '/local/domain/0/'.length)
	assert.equal(parsePath('a'.repeat(2049), 0), undefined)
})

test('depthBelow() counts levels and knows what is not below', () => {
	const depth = (path: string, ancestor: string) => depthBelow(path as Path, ancestor as Path)
	assert.deepEqual([depth('/a', '/a'), depth('/a/b/c', '/a'), depth('/a', '/'), depth('/', '/')], [0, 2, 1, 0])
	assert.deepEqual([depth('/ab', '/a'), depth('/a', '/a/b')], [undefined, undefined])
})
