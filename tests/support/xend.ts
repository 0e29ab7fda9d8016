/** The public path for tests with real kernels: bin/xm and a daemon of its own in a private run directory. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../src/base/errors.ts'
import { writeCpio } from '../../src/boot/cpio.ts'
import { openRunDir, type RunDir } from '../../src/daemon/rundir.ts'
import { ensureGuestAssets, type GuestAsset } from '../../src/platform/node/guest_assets.ts'
import { XendClient } from '../../src/sdk/client.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** How long anything that a guest does may take on a busy machine before a test gives up. */
export const PATIENCE_MS = 240_000
const SHOWN_WITHIN_MS = 120_000

/** The guests named, or the sentence that says why this host has none: what a test's `skip` takes. */
export async function guests(...names: string[]): Promise<{ assets: Record<string, GuestAsset>; skip: string | false }> {
	try {
		return { assets: await ensureGuestAssets(names, () => {}), skip: false }
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		return { assets: {}, skip: error.message }
	}
}

/** A daemon in a directory of its own, which ends with all its domains when it is disposed of. */
export class PrivateXend implements AsyncDisposable {
	private readonly directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	readonly rundir: RunDir = openRunDir({ XENOTYPE_RUNDIR: join(this.directory, 'run') })
	readonly client = new XendClient(this.rundir.socket)
	private readonly running = new Set<XmProcess>()

	/** Writes a config file for the asset and returns its path. `files` go into the guest's /test. */
	config(name: string, asset: GuestAsset, extra: string, files: Readonly<Record<string, string | Uint8Array>> = {}): string {
		const values = {
			kernel: asset.kernel,
			...(asset.ramdisk === null ? {} : { ramdisk: this.ramdisk(name, asset.ramdisk, files) }),
			memory: 256,
			extra,
			on_crash: 'destroy',
		}
		const path = join(this.directory, name)
		writeFileSync(
			path,
			Object.entries(values)
				.map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
				.join(''),
		)
		return path
	}

	private ramdisk(name: string, base: string, files: Readonly<Record<string, string | Uint8Array>>): string {
		if (Object.keys(files).length === 0) return base
		const bytes = (data: string | Uint8Array) => (typeof data === 'string' ? new TextEncoder().encode(data) : data)
		const entries = Object.entries(files).map(([path, data]) => ({ type: 'file' as const, path: `test/${path}`, data: bytes(data) }))
		const path = join(this.directory, `${name}.cpio`)
		writeFileSync(path, Buffer.concat([readFileSync(base), writeCpio([{ type: 'directory', path: 'test' }, ...entries])]))
		return path
	}

	/** Starts `xm WORDS...`, its stdin a pipe. */
	start(...words: string[]): XmProcess {
		const process = new XmProcess(words, this.rundir.path)
		this.running.add(process)
		void process.ended.then(() => this.running.delete(process))
		return process
	}

	/** Runs `xm WORDS...` to its end, its stdin empty. */
	xm(...words: string[]): Promise<XmResult> {
		const process = this.start(...words)
		process.child.stdin.end()
		return process.ended
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const process of this.running) process.child.kill()
		await this.client.stop({ domains: 'destroy' }).catch(() => {})
		for (let tries = 0; tries < 600 && (await this.client.daemon().catch(() => undefined)) !== undefined; tries++) await delay(50)
		rmSync(this.directory, { recursive: true, force: true })
	}
}

export interface XmResult {
	/** Null when a signal ended it. */
	readonly status: number | null
	readonly out: string
	readonly err: string
}

export class XmProcess {
	readonly child: ChildProcessWithoutNullStreams
	readonly ended: Promise<XmResult>
	/** What it has printed so far. */
	out = ''
	private err = ''

	constructor(words: readonly string[], rundir: string) {
		this.child = spawn(join(root, 'bin/xm'), words, { env: { ...process.env, XENOTYPE_RUNDIR: rundir } })
		this.child.stdout.on('data', (chunk: Buffer) => {
			this.out += chunk.toString('utf8')
		})
		this.child.stderr.on('data', (chunk: Buffer) => {
			this.err += chunk.toString('utf8')
		})
		this.child.stdin.on('error', () => {})
		this.ended = new Promise((resolve) => {
			this.child.on('close', (status) => resolve({ status, out: this.out, err: this.err }))
		})
	}

	type(text: string): void {
		this.child.stdin.write(text)
	}

	/** The first match at or behind `from` in what it prints. Rejects when it ends without, or after two minutes. */
	shown(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
		return new Promise((resolve, reject) => {
			const fail = (why: string) => finish(() => reject(new Error(`${why} without showing ${pattern}; it said:\n${this.out}\n${this.err}`)))
			const timer = setTimeout(() => fail(`xm has run ${SHOWN_WITHIN_MS / 1000} s`), SHOWN_WITHIN_MS)
			const finish = (settle: () => void) => {
				clearTimeout(timer)
				this.child.stdout.off('data', look)
				settle()
			}
			const look = () => {
				const match = pattern.exec(this.out.slice(from))
				if (match !== null) finish(() => resolve(match))
				return match !== null
			}
			this.child.stdout.on('data', look)
			if (!look()) void this.ended.then(({ status }) => look() || fail(`xm ended with status ${status}`))
		})
	}
}

let commands = 0

/** A shell on a console whose prompt has shown: runs one command and returns its output, typed text left out, and its exit status. */
export async function inShell(console: XmProcess, command: string): Promise<{ output: string; status: number }> {
	const id = ++commands
	const from = console.out.length
	// The quotes keep the marks from being found in the echo of what is typed.
	console.type(`echo be""gin-${id}; ${command}; echo e""nd-${id}-$?\n`)
	const match = await console.shown(new RegExp(`begin-${id}\r?\n([\\s\\S]*?)end-${id}-(\\d+)`), from)
	return { output: match[1]!.replaceAll('\r', ''), status: Number(match[2]) }
}

export function delay(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}
