import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prettySxp, showSxp } from './sxp.ts'

test('showSxp() quotes only what needs it and leaves an empty value empty', () => {
	assert.equal(
		showSxp(['vm', ['name', 'web'], ['args', 'root=/dev/xvda1 ro'], ['bootloader', ''], ['n', 3]]),
		"(vm (name web) (args 'root=/dev/xvda1 ro') (bootloader ) (n 3))",
	)
	assert.equal(showSxp("it's"), `"it's"`)
})

test('prettySxp() keeps what fits on one line and indents the rest by four', () => {
	assert.equal(prettySxp(['a', ['b', 1]]), '(a (b 1))')
	assert.equal(
		prettySxp(['domain', ['name', 'x'.repeat(30)], ['image', ['linux', ['kernel', '/k']]]], 42),
		`(domain\n    (name ${'x'.repeat(30)})\n    (image (linux (kernel /k)))\n)`,
	)
})
