import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestDaemon } from '../../tests/support/daemon.ts'
import { completer, splitWords } from './shell.ts'

test('xm shell runs subcommands, one a line, and goes on after errors', async () => {
	await using xend = await TestDaemon.start()
	const { status, out, err } = await xend.xm(['shell'], ({ stdin }) => {
		stdin.end("\ndomname 0\npause nobody\nfrobnicate\ndomid 'Domain-0'\nshell\nlist 'x\nquit\ndomid 0\n")
	})
	assert.equal(status, 0)
	assert.match(out, /^The Xen Master\. Type "help" for a list of functions\.\nDomain-0\n(.*\n)*0\n$/)
	assert.equal(err, "Error: Domain 'nobody' does not exist.\nError: Subcommand frobnicate not found!\nError: No closing quotation\n")
})

test('xm shell ends with its input', async () => {
	await using xend = await TestDaemon.start()
	const { status, out } = await xend.xm(['shell'], ({ stdin }) => void stdin.end('domid 0'))
	assert.deepEqual([status, out.split('\n').slice(1)], [0, ['0', '']])
})

test('xm shell completes subcommands, and domains’ names behind them', async () => {
	await using xend = await TestDaemon.start()
	await xend.client.define({ values: { name: 'web', kernel: '/k' } })
	const complete = completer({ connectRunning: async () => xend.client })
	assert.deepEqual(await complete('pau'), [['pause'], 'pau'])
	assert.deepEqual(await complete('pause w'), [['web'], 'w'])
	assert.deepEqual(await complete('pause x'), [[], 'x'])
	assert.deepEqual(await completer({ connectRunning: async () => undefined })('pause w'), [[], 'w'])
})

test('splitWords() takes quotations and backslashes as a shell does', () => {
	assert.deepEqual(splitWords(`create a 'b c' "d \\"e" f\\ g ''`), ['create', 'a', 'b c', 'd "e', 'f g', ''])
	assert.equal(splitWords('a "b'), undefined)
	assert.equal(splitWords('a \\'), undefined)
	assert.deepEqual(splitWords('  '), [])
})

test('xm serve is a connection to the API over stdin and stdout', async () => {
	await using xend = await TestDaemon.start()
	const { status, out, err } = await xend.xm(['serve'], ({ stdin }) => {
		const request = (path: string, extra = '') => `GET ${path} HTTP/1.1\r\nHost: xend\r\n${extra}\r\n`
		stdin.write(request('/v1/daemon'))
		stdin.end(request('/v1/domains/0', 'Connection: close\r\n'))
	})
	assert.deepEqual([status, err], [0, ''])
	assert.equal(out.match(/^HTTP\/1\.1 200 OK\r$/gm)?.length, 2)
	assert.match(out, new RegExp(`"pid":${process.pid}`))
	assert.match(out, /"name":"Domain-0"/)
})
