/** A daemon process over domains without guests, for the tests of its start and end. */
import { runDaemon } from '../../src/daemon/run.ts'
import { fakeHost } from './daemon.ts'
import { FakeFactory } from './fake_domains.ts'

await runDaemon(async () => fakeHost(new FakeFactory()))
