import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from './options.ts'

const specs = [
	{ short: 'l', long: 'long', help: '' },
	{ short: 'p', long: 'path', value: 'PATH', help: '' },
	{ short: '', long: 'paused', help: '' },
]
const parse = (...words: string[]) => {
	const { options, positional } = parseArguments(words, specs)
	return [Object.fromEntries(options), positional]
}

test('options and arguments come in any order, in all of getopt’s spellings', () => {
	assert.deepEqual(parse('a', '-l', 'b', '--path=x'), [{ long: true, path: 'x' }, ['a', 'b']])
	assert.deepEqual(parse('-lpx'), [{ long: true, path: 'x' }, []])
	assert.deepEqual(parse('--path', 'y', '--lo'), [{ path: 'y', long: true }, []])
	assert.deepEqual(parse('-p', 'y', '--', '-l'), [{ path: 'y' }, ['-l']])
	assert.deepEqual(parse('-'), [{}, ['-']])
})

test('wrong options are refused in getopt’s words', () => {
	assert.throws(() => parse('-x'), /option -x not recognized/)
	assert.throws(() => parse('--nope'), /option --nope not recognized/)
	assert.throws(() => parse('--pa'), /option --pa not a unique prefix/)
	assert.throws(() => parse('-p'), /option -p requires argument/)
	assert.throws(() => parse('--long=1'), /option --long must not have an argument/)
})
