import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { COMMANDS } from './commands.ts'
import { completionScript, SHELLS } from './completion.ts'
import { XL_COMMANDS } from './xl/commands.ts'

/** What bash offers for words of which the last is being typed. */
function offers(...words: string[]): string[] {
	const script = `xm() { [ "$1" = --names ] && printf 'web\\ndb\\n'; }
${completionScript('bash', 'xm', COMMANDS)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _xm; printf '%s\\n' "\${COMPREPLY[@]}"`
	const { stdout, stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
	assert.equal(status, 0, stderr)
	return stdout.split('\n').filter((line) => line !== '')
}

test('bash completes subcommands, options, domains and files', () => {
	assert.deepEqual(offers('xm', 'pa'), ['pause'])
	assert.deepEqual(offers('xm', 'shutdown', '--a'), ['--all'])
	assert.deepEqual(offers('xm', 'console', 'w'), ['web'])
	assert.deepEqual(offers('xm', 'help', 'cre'), ['create'])
	assert.deepEqual(offers('xm', 'create', '/etc/hostn'), ['/etc/hostname'])
	assert.deepEqual(offers('xm', 'info', 'w'), [])
})

test('every shell here accepts its script', (t) => {
	for (const shell of SHELLS) {
		const input = completionScript(shell, 'xm', COMMANDS) + completionScript(shell, 'xl', XL_COMMANDS)
		const { error, status, stderr } = spawnSync(shell, ['-n'], { input, encoding: 'utf8' })
		if (error !== undefined) t.diagnostic(`${shell} is not installed`)
		else assert.deepEqual([shell, status, stderr], [shell, 0, ''])
	}
})

test('every script knows every subcommand', () => {
	for (const shell of SHELLS) {
		for (const [program, commands] of [['xm', COMMANDS] as const, ['xl', XL_COMMANDS] as const]) {
			const script = completionScript(shell, program, commands)
			for (const { name } of commands) assert(script.includes(name), `${shell} ${program} ${name}`)
		}
	}
})
