import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { guests, PATIENCE_MS, PrivateXend } from '../support/xend.ts'

// What domains have had comes back to the host when they go.

const { assets, skip } = await guests('cloud-6.1')

const DOMAINS = 4
/** How long each runs: it is past its kernel's start then. */
const RUN_MS = 1500
/** What the daemon may keep: what V8 has learnt of the code is 30 to 50, and a domain's machine by then 70. */
const KEPT_MIB = 100
const COLLECTED_WITHIN_MS = 20_000

function resident_MiB(pid: number): number {
	return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

const delay = (time_ms: number) => new Promise((resolve) => setTimeout(resolve, time_ms))

test('the memory of domains is given back when they are destroyed', { skip, timeout: PATIENCE_MS }, async () => {
	await using xend = new PrivateXend()
	const guest = xend.config('guest', assets['cloud-6.1']!, 'console=hvc0')
	const { client } = xend
	await xend.xm('list')
	const { hypervisorPid: pid } = await client.daemon()
	const before_MiB = resident_MiB(pid)
	for (let n = 0; n < DOMAINS; n++) {
		assert.equal((await xend.xm('create', '-q', guest, `name=guest${n}`)).status, 0)
		await delay(RUN_MS)
		await client.destroy(`guest${n}`)
	}
	const after_MiB = await settled(pid, before_MiB + KEPT_MIB)
	assert.ok(
		after_MiB <= before_MiB + KEPT_MIB,
		`${before_MiB.toFixed(0)} MiB at first, ${after_MiB.toFixed(0)} MiB after ${DOMAINS} domains`,
	)
})

/** The process's resident memory once it is no more than `goal_MiB`, or when it has not become so in time. */
async function settled(pid: number, goal_MiB: number): Promise<number> {
	const end = Date.now() + COLLECTED_WITHIN_MS
	while (resident_MiB(pid) > goal_MiB && Date.now() < end) await delay(100)
	return resident_MiB(pid)
}
