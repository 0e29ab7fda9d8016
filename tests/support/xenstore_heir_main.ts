/** What an heir of a XenStore inherits, served: a process for tests of the handover. Its argument is the socket's path. */
import { inherit } from '../../src/platform/node/xenstore_handover.ts'
import { serveClients } from '../../src/platform/node/xenstore_socket.ts'
import { XenstoreServer } from '../../src/xenstore/server.ts'

const { listener, clients } = await inherit()
serveClients(new XenstoreServer({ defer: setImmediate }), listener, process.argv[2]!, clients)
