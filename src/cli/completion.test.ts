import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Runs a shell's program where the shell is installed. Its words, one a line. */
function told(shell: 'zsh' | 'fish', program: string): string[] | undefined {
	const { error, stdout, stderr, status } = spawnSync(shell, [shell === 'zsh' ? '-f' : '--no-config', '-c', program], { encoding: 'utf8' })
	if (error !== undefined) return undefined
	assert.deepEqual([status, stderr], [0, ''])
	return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0]!]))
}

const skipWithout = (shell: string) => (spawnSync(shell, ['--version']).error === undefined ? false : `${shell} is not installed`)

test('fish completes subcommands, options and domains', { skip: skipWithout('fish') }, () => {
	const offers = (line: string) =>
		told(
			'fish',
			`function xm; printf 'web\\ndb\\n'; end
${completionScript('fish', 'xm', COMMANDS)}
complete -C '${line}'`,
		)
	assert.deepEqual(offers('xm pau'), ['pause'])
	assert.deepEqual(offers('xm shutdown --al'), ['--all'])
	assert.deepEqual(offers('xm console w'), ['web'])
	assert.deepEqual(offers('xm help crea'), ['create'])
	assert.deepEqual(offers('xm info w'), [])
})

test('zsh completes subcommands, options and domains', { skip: skipWithout('zsh') }, () => {
	// Stand-ins for the completion system's own, which choose what fits $PREFIX.
	const offers = (...words: string[]) =>
		told(
			'zsh',
			`compdef() {}
compadd() { [[ $1 == -- ]] && shift; print -l -- "\${(@M)@:#$PREFIX*}" }
_describe() { local each; for each in "\${(@P)2}"; do compadd -- "\${each%%:*}"; done }
xm() { printf 'web\\ndb\\n' }
${completionScript('zsh', 'xm', COMMANDS)}
words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}; PREFIX='${words.at(-1)}'; _xm`,
		)
	assert.deepEqual(offers('xm', 'pau'), ['pause'])
	assert.deepEqual(offers('xm', 'shutdown', '--al'), ['--all'])
	assert.deepEqual(offers('xm', 'console', 'w'), ['web'])
	assert.deepEqual(offers('xm', 'help', 'crea'), ['create'])
	assert.deepEqual(offers('xm', 'info', 'w'), [])
})

test('every shell here accepts its scripts', (t) => {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-completion-'))
	t.after(() => rmSync(directory, { recursive: true }))
	for (const shell of SHELLS) {
		const file = join(directory, shell)
		writeFileSync(file, completionScript(shell, 'xm', COMMANDS) + completionScript(shell, 'xl', XL_COMMANDS))
		const { error, status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' })
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
