import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { delay, guests, inShell, PATIENCE_MS, PrivateXend, type XmProcess } from '../support/xend.ts'

// What is asked of a Debian kernel from outside while it runs: memory, sysrq, an NMI, a core.

const { assets, skip } = await guests('cloud-6.1')

test('a guest follows mem-set, sysrq and trigger, and leaves a core', { skip, timeout: PATIENCE_MS }, async (t) => {
	await using xend = new PrivateXend()
	const config = xend.config('guest', assets['cloud-6.1']!, 'console=hvc0 sysrq_always_enabled')
	const console = xend.start('create', '-q', '-c', config, 'maxmem=320')
	await console.shown(/# /)

	const total_kib = await memTotal(console)
	assert.deepEqual(await xend.xm('mem-set', 'guest', '192'), { status: 0, out: '', err: '' })
	await memory(xend, 192)
	assert.ok(total_kib - (await memTotal(console)) > 60 * 1024, 'it has about 64 MiB less')
	await xend.xm('mem-set', 'guest', '0320m')
	await memory(xend, 320)
	assert.ok((await memTotal(console)) - total_kib > 60 * 1024, 'it has about 64 MiB more than at first')
	await inShell(console, 'dd if=/dev/zero of=/big bs=1M count=200 && rm /big')
	assert.equal((await xend.xm('mem-max', 'guest', '400')).status, 1)

	await xend.xm('sysrq', 'guest', 'h')
	await console.shown(/sysrq: HELP : /)
	assert.deepEqual(await xend.xm('trigger', 'guest', 'nmi'), { status: 0, out: '', err: '' })
	const { output } = await inShell(console, 'sleep 1; grep NMI: /proc/interrupts; dmesg | grep -i nmi')
	assert.match(output, /NMI: +1 /)
	assert.match((await xend.xm('trigger', 'guest', 'power')).err, /\(22, 'Invalid argument'\)/)
	assert.match((await xend.xm('trigger', 'guest', 'nmi', '1')).err, /\(3, 'No such process'\)/)

	const directory = mkdtempSync(join(tmpdir(), 'xenotype-core-'))
	try {
		const core = join(directory, 'guest.core')
		assert.equal((await xend.xm('dump-core', 'guest', core)).status, 0)
		assert.match((await xend.xm('list', 'guest')).out, / [r-][b-]---- /)
		assert.ok(statSync(core).size < (320 + 2) * 1024 * 1024)
		checkCore(t, core)
	} finally {
		rmSync(directory, { recursive: true })
	}
	await inShell(console, 'true')
})

async function memTotal(console: XmProcess): Promise<number> {
	const { output } = await inShell(console, 'grep MemTotal /proc/meminfo')
	return Number(/(\d+) kB/.exec(output)?.[1])
}

/** Waits until xm list says so. */
async function memory(xend: PrivateXend, mib: number): Promise<void> {
	for (let tries = 0; tries < 120; tries++) {
		const { memory_mib } = await xend.client.domain('guest')
		if (memory_mib === mib) return
		await delay(250)
	}
	assert.fail(`the guest has not come to ${mib} MiB but to ${(await xend.client.domain('guest')).memory_mib}`)
}

/** The kernel's banner is at the pseudo-physical address that .xen_p2m says, and readelf and gdb take the file. */
function checkCore(t: { diagnostic(message: string): void }, path: string): void {
	const bytes = readFileSync(path)
	assert.ok(bytes.includes('Linux version 6.1'))
	if (spawnSync('readelf', ['--version']).error !== undefined) return t.diagnostic('readelf is not installed')
	const headers = execFileSync('readelf', ['-hSnW', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
	assert.match(headers, /Type: +CORE/)
	for (const name of ['.note.Xen', '.xen_prstatus', '.xen_shared_info', '.xen_pages', '.xen_p2m']) assert.ok(headers.includes(name), name)
	const section = (name: string) => {
		const [, offset, size] = new RegExp(`\\${name} +\\w+ +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)`).exec(headers)!
		return { offset: Number.parseInt(offset!, 16), size: Number.parseInt(size!, 16) }
	}
	const pages = section('.xen_pages').size / 4096
	assert.equal(section('.xen_p2m').size, pages * 16)
	assert.equal(section('.xen_prstatus').size, 5168)
	assert.ok(pages > 319 * 256 && pages <= 320 * 256, `${pages} pages`)
	const context = section('.xen_prstatus').offset
	assert.equal(bytes.readUInt16LE(context + 520 + 136) & 3, 3, 'CS of ring 3')
	assert.ok(bytes.readBigUInt64LE(context + 5112) > 0xffff_ffff_8000_0000n, 'the event callback is in the kernel')
	if (spawnSync('gdb', ['--version']).error !== undefined) return t.diagnostic('gdb is not installed')
	// The first bytes of the kernel, where Linux maps physical memory.
	const first = bytes.readUInt32LE(section('.xen_pages').offset + 0x100_0000)
	const gdb = spawnSync('gdb', ['-nx', '-batch', '-c', path, '-ex', 'x/wx 0xffff888001000000'], { encoding: 'utf8' })
	assert.match(gdb.stdout, new RegExp(`0xffff888001000000:\\s+0x${first.toString(16).padStart(8, '0')}`))
}
