// Many domains at once: for each one client for the toolstack and one for the guest hold the conversation of a start and a shutdown. conversations.ts SOCKET COUNT
// prints {"total_ms", "slowest_ms", "fastest_ms", "longestWait_ms", "requests"}.
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import { removeDomainTree, writeDomainTree } from '../../src/toolstack/xenstore_tree.ts'
import type { XenstoreClient } from '../../src/xenstore/client.ts'

const [path, text] = process.argv.slice(2) as [string, string]
const count = Number(text)
let longestWait_ms = 0
let requests = 0

/** Times every call of a client's methods that asks the server something. */
async function asked<T>(work: Promise<T>): Promise<T> {
	const start = performance.now()
	const result = await work
	requests++
	longestWait_ms = Math.max(longestWait_ms, performance.now() - start)
	return result
}

/** Resolves when the node at `path` says `value`. */
async function says(client: XenstoreClient, node: string, value: string): Promise<void> {
	let done = () => {}
	const seen = new Promise<void>((resolve) => {
		done = resolve
	})
	const stop = await asked(client.watch(node, async () => (await client.read(node)) === value && done()))
	await seen
	await stop()
}

async function guest(client: XenstoreClient, domid: number): Promise<void> {
	const home = `/local/domain/${domid}`
	for (const feature of ['poweroff', 'reboot', 'suspend']) await asked(client.write(`${home}/control/feature-${feature}`, '1'))
	await says(client, `${home}/control/shutdown`, 'poweroff')
	await asked(client.write(`${home}/control/shutdown`, ''))
	await asked(client.write(`${home}/data/ended`, '1'))
}

async function conversation(n: number): Promise<number> {
	const [toolstack, inside] = await Promise.all([connectXenstore(path), connectXenstore(path)])
	const start = performance.now()
	const domid = n + 1
	const uuid = `00000000-0000-4000-8000-${String(domid).padStart(12, '0')}`
	const paths = { kernel: '/boot/vmlinuz', ramdisk: '/boot/initrd', cmdline: 'console=hvc0' }
	const numbers = {
		memory_kib: 131072,
		maxMemory_kib: 131072,
		storePort: 1,
		storeMfn: 1,
		consolePort: 2,
		consoleMfn: 2,
		consoleLimit_bytes: 1,
		startTime_s: 1,
	}
	await asked(writeDomainTree(toolstack, { domid, uuid, name: `bench-${n}`, vcpusOnline: [true], consoleTty: '', ...paths, ...numbers }))
	const running = guest(inside, domid)
	for (const node of ['name', 'vm', 'control/feature-poweroff']) await asked(toolstack.read(`/local/domain/${domid}/${node}`))
	await asked(toolstack.write(`/local/domain/${domid}/control/shutdown`, 'poweroff'))
	await says(toolstack, `/local/domain/${domid}/data/ended`, '1')
	await running
	await asked(removeDomainTree(toolstack, { domid, uuid }))
	const taken = performance.now() - start
	toolstack.close()
	inside.close()
	return taken
}

const start = performance.now()
const times = await Promise.all(Array.from({ length: count }, (_, n) => conversation(n)))
const total_ms = performance.now() - start
process.stdout.write(
	`${JSON.stringify({ total_ms, slowest_ms: Math.max(...times), fastest_ms: Math.min(...times), longestWait_ms, requests })}\n`,
)
