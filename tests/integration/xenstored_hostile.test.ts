import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { XS_READ, XS_WATCH, XS_WRITE } from '../../src/abi/io/xs_wire.ts'
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import type { XenstoreClient } from '../../src/xenstore/client.ts'
import { encodeMessage } from '../../src/xenstore/wire.ts'
import { xenstoredPid } from '../support/processes.ts'
import { delay, PrivateXend } from '../support/xend.ts'

// The real process of xenstored, and clients that break the protocol, stop in the middle, never read, or never stop.

/** What its memory may grow by: a few clients' queues at their limits, and garbage. */
const GROWTH_MIB = 160

/** What four rounds of 100 times 100 values of 2000 bytes are. */
const HISTORY_MIB = (4 * 100 * 100 * 2000) / 1024 / 1024

interface Daemon {
	readonly socket: string
	readonly journal: string
	readonly good: XenstoreClient
	readonly pid: number
}

async function withStore(use: (daemon: Daemon) => Promise<void>): Promise<void> {
	await using xend = new PrivateXend()
	assert.equal((await xend.xm('list')).status, 0)
	const socket = xend.rundir.xenstore
	const good = await connectXenstore(socket)
	const pid = xenstoredPid(xend.rundir) as number
	await use({ socket, journal: xend.rundir.xenstored.journal, good, pid })
	await serves(good, 100)
	assert.equal(xenstoredPid(xend.rundir), pid)
	good.close()
}

async function serves(client: XenstoreClient, rounds: number): Promise<void> {
	for (let round = 0; round < rounds; round++) {
		await client.write('/test/good', round)
		assert.equal(await client.read('/test/good'), String(round))
	}
}

async function raw(path: string): Promise<Socket> {
	const socket = connect(path)
	await once(socket, 'connect')
	socket.on('error', () => {})
	return socket
}

const text = (value: string) => new TextEncoder().encode(value)
const request = (type: number, payload: string) => encodeMessage({ type, reqId: 1, txId: 0, payload: text(payload) })
const memory_mib = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
const files = (pid: number) => readdirSync(`/proc/${pid}/fd`).length

test('clients that stop in the middle of a message, close half, or send nonsense are nobody else’s affair', {
	timeout: 240_000,
}, async () => {
	await withStore(async ({ socket, good, pid }) => {
		await good.write('/test/fixed', 'here')
		const before = files(pid)
		const read = request(XS_READ, '/test/fixed\0')
		const tooLong = read.slice()
		new DataView(tooLong.buffer).setUint32(12, 0xffffffff, true)
		const [halfHeader, halfPayload, halfClosed, nonsense] = await Promise.all(
			[read.subarray(0, 7), read.subarray(0, 20), read, tooLong].map((bytes) =>
				Promise.all(
					Array.from({ length: 20 }, async () => {
						const client = await raw(socket)
						client.write(bytes)
						return client
					}),
				),
			),
		)
		for (const client of halfClosed!) client.end()
		await serves(good, 200)
		for (const client of halfClosed!) {
			const [reply] = (await once(client, 'data')) as [Buffer]
			assert.equal(reply.subarray(16).toString(), 'here')
		}
		for (const client of nonsense!) {
			client.resume()
			if (!client.closed) await once(client, 'close')
		}
		for (const client of [...halfHeader!, ...halfPayload!]) assert.equal(client.destroyed, false)
		for (const client of [...halfHeader!, ...halfPayload!, ...halfClosed!]) client.destroy()
		for (let waited = 0; files(pid) > before && waited < 100; waited++) await delay(20)
		assert.equal(files(pid), before)
	})
})

test('memory and journal grow with the store, not with its history', { timeout: 240_000 }, async () => {
	await withStore(async ({ good, pid, journal }) => {
		const value = 'v'.repeat(2000)
		const round = async () => {
			for (let n = 0; n < 100; n++) {
				const writes = Array.from({ length: 100 }, (_, at) => good.write(`/test/kept/${at}`, `${n}${value}`))
				const passing = `/test/passing/${n}`
				await Promise.all([...writes, good.write(`${passing}/below`, value), good.rm(passing)])
			}
		}
		await round()
		const before_mib = memory_mib(pid)
		for (let rounds = 0; rounds < 4; rounds++) await round()
		const grown_mib = memory_mib(pid) - before_mib
		assert(grown_mib < HISTORY_MIB / 2, `${grown_mib} MiB more for ${HISTORY_MIB} MiB of history`)
		const journal_mib = statSync(journal).size / 1024 / 1024
		assert(journal_mib < 4, `the journal has ${journal_mib} MiB`)
	})
})

test('a client that never reads costs bounded memory, and the others are served', { timeout: 240_000 }, async () => {
	await withStore(async ({ socket, good, pid }) => {
		await serves(good, 500)
		const before_mib = memory_mib(pid)
		await good.write('/test/large', 'x'.repeat(2000))
		const [watching, asking] = [await raw(socket), await raw(socket)]
		watching.pause().write(request(XS_WATCH, '/test/many\0token\0'))
		// Replies of 20 MB.
		asking.pause()
		for (let n = 0; n < 100; n++) asking.write(Buffer.concat(new Array(100).fill(request(XS_READ, '/test/large\0'))))
		await serves(good, 100)
		// Events of 24 MB, no two alike.
		for (let n = 0; n < 8000; n++) {
			const path = `/test/many/${String(n).padEnd(2950, 'x')}`
			await good.write(path, '')
			await good.rm(path)
		}
		assert(memory_mib(pid) < before_mib + GROWTH_MIB, `${before_mib} MiB became ${memory_mib(pid)} MiB`)
		watching.resume()
		if (!watching.closed) await once(watching, 'close')
		asking.destroy()
	})
})

/** Keeps 256 requests under way on each of four connections, and says every thousandth reply. */
const FLOOD = `
const { connect } = require('node:net')
const frame = Buffer.from(process.argv[2], 'base64')
let replies = 0
for (let n = 0; n < 4; n++) {
	const socket = connect(process.argv[1])
	socket.write(Buffer.concat(new Array(256).fill(frame)))
	let held = 0
	socket.on('data', (chunk) => {
		held += chunk.length
		const whole = Math.floor(held / 19)
		held -= whole * 19
		if (whole > 0) socket.write(Buffer.concat(new Array(whole).fill(frame)))
		if (Math.floor(replies / 1000) < Math.floor((replies + whole) / 1000)) console.log(replies + whole)
		replies += whole
	})
}`

test('a process that floods the socket does not keep others from being served', { timeout: 240_000 }, async () => {
	await withStore(async ({ socket, good }) => {
		await good.write('/test/flood', '')
		const frame = request(XS_WRITE, '/test/flood\0x')
		const flood = spawn(process.execPath, ['-e', FLOOD, socket, Buffer.from(frame).toString('base64')], {
			stdio: ['ignore', 'pipe', 'inherit'],
		})
		let said = 0
		flood.stdout.on('data', () => said++)
		await once(flood.stdout, 'data')
		await serves(good, 200)
		const late = await connectXenstore(socket)
		await serves(late, 20)
		const soFar = said
		while (said === soFar) await delay(10)
		flood.kill('SIGKILL')
		late.close()
	})
})
