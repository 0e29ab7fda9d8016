// A XenStore on the socket named, as users have it, with its journal beside the socket, for the bench to measure in a process of its own. Says "ready" when it listens; ends when its standard input does.
import { FileJournal } from '../../src/platform/node/xenstore_journal.ts'
import { listenXenstore } from '../../src/platform/node/xenstore_socket.ts'
import { XenstoreServer } from '../../src/xenstore/server.ts'

const socket = process.argv[2]!
const server = new XenstoreServer({ defer: setImmediate })
if (process.env.NO_JOURNAL === undefined) {
	const onFailure = (error: Error) => {
		throw error
	}
	server.store.startJournal(new FileJournal({ path: `${socket}.journal`, bootId: '', snapshot: () => server.snapshot(), onFailure }))
}
const listener = await listenXenstore(server, socket)
process.stdout.write('ready\n')
process.stdin.on('end', () => {
	const { rss, heapUsed } = process.memoryUsage()
	process.stdout.write(`${JSON.stringify({ rss, heapUsed })}\n`)
	listener.close().then(() => process.exit(0))
})
process.stdin.resume()
