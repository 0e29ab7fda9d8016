import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLog, redact } from './log.ts'

function scratch(): { path: string } & Disposable {
	const path = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

test('a log of its limit goes to .1, and the oldest beyond what is kept goes', () => {
	using directory = scratch()
	const path = join(directory.path, 'xend.log')
	const log = openLog(path, { limit_bytes: 200, kept: 3 })
	for (let n = 0; n < 20; n++) log('info', `message ${n} ${'x'.repeat(80)}`)
	assert.deepEqual(readdirSync(directory.path).sort(), ['xend.log', 'xend.log.1', 'xend.log.2', 'xend.log.3'])
	for (const name of readdirSync(directory.path)) assert(statSync(join(directory.path, name)).size <= 200, name)
	assert.match(readFileSync(path, 'utf8'), /INFO: message 19 x/)
	assert.match(readFileSync(`${path}.1`, 'utf8'), /message 18 /)
	assert.equal(statSync(path).mode & 0o077, 0)
})

test('what is about a domain is in its own log as well, and what is below the level in none', () => {
	using directory = scratch()
	const path = join(directory.path, 'xend.log')
	const log = openLog(path, { domains: join(directory.path, 'log'), level: 'warning' })
	log('info', 'small talk', 'web')
	log('warning', 'Domain web restarts\ntwice', 'web')
	log('critical', 'all is lost')
	const own = readFileSync(join(directory.path, 'log', 'web.log'), 'utf8')
	assert.match(own, /^\[[^\]]+\] WARNING: Domain web restarts\\ntwice\n$/)
	assert.match(readFileSync(path, 'utf8'), /WARNING: .*\n.*CRITICAL: all is lost\n$/)
})

test('no password is in a log', () => {
	const cases: [string, string][] = [
		["vncpasswd = 'secret' is not valid", 'vncpasswd = *** is not valid'],
		['(vfb (vncpasswd secret) (vnc 1))', '(vfb (vncpasswd ***) (vnc 1))'],
		['{"vncpasswd":"se cret","x":1}', '{"vncpasswd":***,"x":1}'],
		['vnc=1,vncpasswd=secret,vncdisplay=2', 'vnc=1,vncpasswd=***,vncdisplay=2'],
		['Domain web (1) created.', 'Domain web (1) created.'],
	]
	for (const [message, shown] of cases) assert.equal(redact(message), shown)
})
