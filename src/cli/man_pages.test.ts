import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { MAN_PAGES } from '../../scripts/man_pages.ts'

test('man/ is what scripts/man_pages.ts writes', () => {
	for (const [path, text] of MAN_PAGES) {
		assert.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text, `${path}: run node scripts/man_pages.ts`)
	}
})

test('groff has nothing to say against the pages', (t) => {
	for (const [path, text] of MAN_PAGES) {
		const { error, stderr } = spawnSync('groff', ['-man', '-ww', '-z', '-Tascii'], { input: text, encoding: 'utf8' })
		if (error !== undefined) return t.skip('groff is not installed')
		assert.equal(stderr, '', path)
	}
})
