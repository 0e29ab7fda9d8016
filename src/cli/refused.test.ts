import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestDaemon } from '../../tests/support/daemon.ts'
import { COMMANDS } from './commands.ts'
import { XL_COMMANDS } from './xl/commands.ts'

/** Words that make sense where `x` for each operand would not. */
const SENSE: Readonly<Record<string, readonly string[]>> = {
	addlabel: ['red', 'dom', 'guest'],
	'block-attach': ['web', 'phy:sda', 'xvda', 'w'],
	'block-configure': ['web', 'phy:sda', 'xvda', 'w!'],
	'button-press': ['web', 'power'],
	'cpupool-cpu-add': ['Pool-0', '1'],
	'cpupool-cpu-remove': ['Pool-0', 'node:0'],
	getlabel: ['res', 'phy:sda'],
	'pci-attach': ['web', '0000:03:00.0'],
	'pci-detach': ['web', '03:00.1'],
	'psr-cat-set': ['web', '0xff'],
	'psr-cmt-show': ['cache_occupancy'],
	resume: [],
	restore: ['file'],
	rmlabel: ['vif-0', 'web'],
	setenforce: ['1'],
	setpolicy: ['ACM', 'policy'],
	suspend: [],
	'usbdev-attach': ['web', 'hostbus=1'],
	'vcpu-pin': ['web', 'all', '0-3,^1'],
	'vcpu-set': ['web', '2'],
	'xenstore-quota-set': ['nodes=1000'],
}

test('every command that is not served is parsed, and then says in one sentence why it cannot act', async () => {
	await using xend = await TestDaemon.start()
	writeFileSync(join(xend.directory, 'file'), '')
	for (const [program, commands] of [['xm', COMMANDS] as const, ['xl', XL_COMMANDS] as const]) {
		for (const { name, refusal, operands } of commands.filter((command) => command.refusal !== undefined)) {
			// xm's own two are refused by the daemon: they need a domain.
			if (program === 'xm' && ['suspend', 'resume'].includes(name)) continue
			const needed = operands?.[0] ?? 0
			const sense = SENSE[name] ?? []
			const words = sense.length >= needed ? sense : new Array<string>(needed).fill('x')
			const said = { status: 1, out: '', err: `Error: '${program} ${name}' cannot act: ${refusal}.\n` }
			assert.deepEqual(await xend[program]([name, ...words]), said)
		}
	}
})

test('every command that lists something knows --json, served or not', async () => {
	await using xend = await TestDaemon.start()
	for (const [program, commands] of [['xm', COMMANDS] as const, ['xl', XL_COMMANDS] as const]) {
		const listings = commands.filter(({ name }) => /list|^(labels|resources|info|uptime|claims|sched-credit)$/.test(name))
		assert(listings.length > 8)
		for (const { name, operands, refusal } of listings) {
			const words = ['--json', ...new Array<string>(refusal === undefined ? 0 : (operands?.[0] ?? 0)).fill('0')]
			const { out, err } = await xend[program]([name, ...words])
			if (refusal === undefined) assert.doesNotThrow(() => JSON.parse(out), `${program} ${name}: ${out}${err}`)
			else assert.equal(err, `Error: '${program} ${name}' cannot act: ${refusal}.\n`)
		}
	}
})

test('words that a refused command could not take are found out first', async () => {
	await using xend = await TestDaemon.start()
	const fault = async (program: 'xm' | 'xl', line: string) => {
		const { status, err, out } = await xend[program](line.split(' '))
		assert.match(out, new RegExp(`^Usage: ${program} .*${line.split(' ')[0]}`))
		return `${status} ${err.trimEnd()}`
	}
	assert.equal(await fault('xm', 'save web'), "1 Error: 'xm save' requires between 2 and 3 arguments.")
	assert.equal(await fault('xm', 'save -c web'), "1 Error: 'xm save' requires 2 arguments.")
	assert.equal(await fault('xm', 'migrate --fast web host'), '1 Error: option --fast not recognized')
	assert.equal(
		await fault('xm', 'migrate -p 99999 web host'),
		"1 Error: --port '99999' is not valid: it must be a whole number from 1 to 65535",
	)
	assert.equal(await fault('xm', 'block-attach web phy:sda xvda x'), "1 Error: Mode 'x' is not valid: it must be r, w or w!")
	assert.match(await fault('xm', 'network-attach web speed=fast'), /^1 Error: 'speed=fast' is not valid: it must be type=\.\.\., mac=/)
	assert.equal(await fault('xm', 'vcpu-pin web 0 1-'), "1 Error: CPUs '1-' is not valid: it must be all or a list like 0-3,5,^1")
	assert.equal(await fault('xm', 'sched-sedf web -e 2'), "1 Error: --extra '2' is not valid: it must be 0 or 1")
	assert.equal(await fault('xl', 'save'), "2 'xl save' requires at least 2 arguments.")
	assert.equal(await fault('xl', 'pci-attach web 3'), "2 BDF '3' is not valid: it must be like 0000:03:00.0")
	assert.match((await xend.xm(['restore', 'absent'])).err, /^Error: xm restore: Unable to read file \/.*\/absent: /)
})
