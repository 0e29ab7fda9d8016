/** A daemon process over domains without guests, for the tests of its start and end. */
import { runDaemon } from '../../src/daemon/run.ts'
import { fakeHost } from './daemon.ts'
import { FakeXen } from './fake_domains.ts'

await runDaemon(() => fakeHost(new FakeXen()))
