import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import type { CommandContext } from '../../src/cli/command.ts'
import { runXm } from '../../src/cli/main.ts'
import { runXl } from '../../src/cli/xl/personality.ts'
import { Daemon } from '../../src/daemon/daemon.ts'
import type { OpenHost } from '../../src/daemon/hypervisor_host.ts'
import { XendClient } from '../../src/sdk/client.ts'
import { MemoryRecords } from '../../src/toolstack/record_store.ts'
import { checkReplies } from './checked_replies.ts'
import { FakeXen } from './fake_domains.ts'

export function fakeHost(xen: FakeXen, lost: Promise<void> = new Promise<void>(() => {})): OpenHost {
	return async () => ({ ...xen.connect(), lost, close: async () => {} })
}

/** A daemon in this process over domains without guests, on a socket in a directory of its own. */
export class TestDaemon implements AsyncDisposable {
	readonly xen = new FakeXen()
	private readonly lost = Promise.withResolvers<void>()
	readonly directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	readonly client = new XendClient(join(this.directory, 'xend.sock'))
	daemon: Daemon
	private readonly idleExit_s: number
	private readonly records = new MemoryRecords()

	private constructor(idleExit_s: number) {
		this.idleExit_s = idleExit_s
		this.daemon = this.make()
	}

	private make(): Daemon {
		return new Daemon({
			socket: this.client.socketPath,
			version: '0.0.0',
			log: () => {},
			idleExit_s: this.idleExit_s,
			open: fakeHost(this.xen, this.lost.promise),
			records: this.records,
			readLog: async () => 'a line\n',
			settings: [['console-limit', '1024']],
			savedFiles: { path: async (uuid) => `/saved/${uuid}`, remove: async (uuid) => void this.xen.files.delete(`/saved/${uuid}`) },
			corePath: async ({ name, domid }) => `/cores/${name}.${domid}.core`,
		})
	}

	static async start(idleExit_s = 3600): Promise<TestDaemon> {
		checkReplies()
		const test = new TestDaemon(idleExit_s)
		await test.daemon.listen()
		return test
	}

	/** Another daemon takes this one's place, over the same domains and records. `between` acts while there is none. */
	async replaceDaemon(between: () => void = () => {}): Promise<void> {
		await this.daemon.end('another takes its place', { domains: 'leave' })
		await until('every connection is closed', () => this.daemon.clients === 0)
		this.daemon.lifecycle.detach()
		between()
		this.daemon = this.make()
		await this.daemon.listen()
	}

	/** As when the hypervisor's process is killed. */
	loseHypervisor(): void {
		this.lost.resolve()
	}

	/** Runs `xm WORDS...` against this daemon. `whileRunning` acts once the command has begun. */
	xm(words: readonly string[], whileRunning?: WhileRunning): Promise<Outcome> {
		return this.run(runXm, words, whileRunning)
	}

	xl(words: readonly string[], whileRunning?: WhileRunning): Promise<Outcome> {
		return this.run(runXl, words, whileRunning)
	}

	/** The same of any program that takes words and a context. */
	async run(program: typeof runXm, words: readonly string[], whileRunning: WhileRunning = () => {}): Promise<Outcome> {
		const out = new Collector()
		const err = new Collector()
		const stdin = new PassThrough()
		const context: CommandContext = {
			stdin,
			stdout: out,
			stderr: err,
			cwd: this.directory,
			connect: async () => this.client,
			connectRunning: async () => this.client,
			print: (line) => void out.write(`${line}\n`),
			complain: (line) => void err.write(`${line}\n`),
		}
		const running = program(words, context)
		await whileRunning({ stdin })
		return { status: await running, out: out.text, err: err.text }
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.daemon.end('the test is over', { domains: 'destroy' })
		rmSync(this.directory, { recursive: true })
	}
}

interface Outcome {
	readonly status: number
	readonly out: string
	readonly err: string
}

/** What acts once a command has begun; it can type. */
type WhileRunning = (running: { readonly stdin: PassThrough }) => void | Promise<void>

class Collector extends Writable {
	text = ''
	override _write(chunk: Buffer, _encoding: string, done: () => void): void {
		this.text += chunk.toString('utf8')
		done()
	}
}

/** Waits until `check` holds; fails after twenty seconds, which a busy host may make of a moment. */
export async function until(what: string, check: () => boolean): Promise<void> {
	for (let waited_ms = 0; waited_ms < 20_000; waited_ms += 5) {
		if (check()) return
		await new Promise((resolve) => setTimeout(resolve, 5))
	}
	throw new Error(`waited twenty seconds in vain: ${what}`)
}
