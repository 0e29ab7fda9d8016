import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { daemonSettings } from './settings.ts'
import { parseXendConfig, readXendConfig, xendConfigFiles } from './xend_config.ts'
import { XEND_CONFIG_KEYS } from './xend_config_keys.ts'

const parse = (text: string) => parseXendConfig(text, 'f')
const RUNDIR = { log: '/run/xend.log', socket: '/run/xend.sock', state: '/state' }
const settings = (text: string) => new Map(daemonSettings(RUNDIR, parse(text)))

test('without a file the defaults of xend hold', () => {
	const { given, warnings, ...rest } = parse('')
	assert.deepEqual(rest, {
		logfile: undefined,
		domainsPath: undefined,
		loglevel: 'debug',
		consoleLimit_bytes: 1024 * 1024,
		dom0MinMemory_kib: 196 * 1024,
		dumpCrashed: false,
	})
	assert.deepEqual([given.size, warnings.length], [0, 0])
})

test('the keys that act are read', () => {
	const config = parse(
		"(logfile /var/log/xend.log)\n(loglevel WARNING)\n(console-limit 64) # KiB\n(dom0-min-mem 0)\n(enable-dump yes)\n(xend-domains-path '/srv/domains')",
	)
	assert.deepEqual(
		[config.logfile, config.loglevel, config.consoleLimit_bytes, config.dom0MinMemory_kib, config.dumpCrashed, config.domainsPath],
		['/var/log/xend.log', 'warning', 65536, 0, true, '/srv/domains'],
	)
})

test('what has no effect here is warned of with the reason, unless it asks for what holds anyway', () => {
	const text =
		"(xend-relocation-server yes)(xend-http-server no)(xend-unix-server yes)(network-script network-bridge)(vncpasswd '')(dom0-cpus 0)"
	assert.deepEqual(parse(text).warnings, [
		'(xend-relocation-server yes) has no effect: a domain cannot be moved to another host yet',
		'(network-script network-bridge) has no effect: network devices are not supported yet',
	])
	assert.equal(settings(text).get('network-script'), 'network-bridge (has no effect: network devices are not supported yet)')
	assert.equal(settings(text).get('dom0-cpus'), '0')
	assert.match(parse('(xend-unix-server no)').warnings[0] ?? '', /the daemon always serves its Unix socket/)
})

test('a password is shown nowhere', () => {
	const config = parse("(vncpasswd 'hunter2')")
	assert.equal(JSON.stringify([config, [...config.given], daemonSettings(RUNDIR, config)]).includes('hunter2'), false)
	assert.match(settings("(vncpasswd 'hunter2')").get('vncpasswd') ?? '', /^\*{8} /)
})

test('xm info -c lists what holds', () => {
	const rows = settings('(console-limit 64)(enable-dump true)')
	assert.deepEqual(
		['logfile', 'loglevel', 'console-limit', 'enable-dump', 'xend-unix-path', 'xend-domains-path'].map((name) => rows.get(name)),
		['/run/xend.log', 'DEBUG', '64', 'yes', '/run/xend.sock', '/state/domains'],
	)
	assert.equal(rows.has('vnc-listen'), false)
})

test('a key or a value that means nothing is refused with its place', () => {
	const refusals: [string, RegExp][] = [
		['(loglevel DEBUG)\n(logfil /x)', /f:2:2: unknown key 'logfil': the nearest known one is 'logfile'/],
		['(loglevel LOUD)', /f:1:11: loglevel = 'LOUD' is not valid: it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL/],
		['(console-limit much)', /f:1:16: console-limit = 'much' is not valid: it must be a whole number/],
		['(console-limit 0)', /f:1:16: console-limit = '0' is not valid: it must be from 1 to 65536 KiB/],
		['(enable-dump maybe)', /f:1:14: enable-dump = 'maybe' is not valid: it must be yes or no/],
		['(logfile xend.log)', /f:1:10: logfile = 'xend.log' is not valid: it must be an absolute path/],
		['(logfile /a /b)', /f:1:13: logfile takes one value: put quotes around it/],
		['(logfile (a))', /f:1:10: logfile takes a string, not a list/],
		['loglevel DEBUG', /f:1:1: 'loglevel' stands alone: an entry is a list/],
		['(())', /f:1:1: this list has no name/],
	]
	for (const [text, message] of refusals) assert.throws(() => parse(text), message, text)
})

test('every key acts or says why it does not', () => {
	for (const [name, { help, why, kind, fallback }] of XEND_CONFIG_KEYS) {
		assert.equal((help === undefined) !== (why === undefined), true, name)
		if (kind === 'integer' && fallback) assert.match(fallback, /^\d+$/, name)
		const value = { string: '/x', integer: '12', boolean: fallback === 'yes' ? 'no' : 'yes', list: 'a b' }[kind]
		const text = name === 'loglevel' ? '(loglevel INFO)' : `(${name} ${value})`
		assert.equal(parse(text).warnings.length, why === undefined ? 0 : 1, name)
	}
})

test('the first file that there is counts, and one that cannot be read is an error', () => {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	try {
		const [own = '', ...others] = xendConfigFiles({ XENOTYPE_CONFIGDIR: directory, XDG_CONFIG_HOME: '/elsewhere' })
		assert.deepEqual([own, others], [join(directory, 'xend-config.sxp'), []])
		assert.deepEqual(xendConfigFiles({ XDG_CONFIG_HOME: '/c' }), ['/c/xenotype/xend-config.sxp', '/etc/xen/xend-config.sxp'])
		assert.equal(readXendConfig([own]).file, undefined)
		writeFileSync(own, '(loglevel ERROR)\n')
		const { file, loglevel } = readXendConfig([join(directory, 'absent', 'xend-config.sxp'), own])
		assert.deepEqual([file, loglevel], [own, 'error'])
		mkdirSync(join(directory, 'd'))
		assert.throws(() => readXendConfig([join(directory, 'd')]), /Cannot read file .*: illegal operation on a directory/)
	} finally {
		rmSync(directory, { recursive: true })
	}
})
