// A XenStore on the socket named, for the bench to measure in a process of its own. Says "ready" when it listens; ends when its standard input does.
import { listenXenstore } from '../../src/platform/node/xenstore_socket.ts'
import { XenstoreServer } from '../../src/xenstore/server.ts'

const listener = await listenXenstore(new XenstoreServer({ defer: setImmediate }), process.argv[2]!)
process.stdout.write('ready\n')
process.stdin.on('end', () => {
	const { rss, heapUsed } = process.memoryUsage()
	process.stdout.write(`${JSON.stringify({ rss, heapUsed })}\n`)
	listener.close().then(() => process.exit(0))
})
process.stdin.resume()
