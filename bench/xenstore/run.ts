/** `npm run bench -- xenstore`: what one synchronous client gets from our XenStore on one CPU, and 300 domains that start and shut down at once. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { UserError } from '../../src/base/errors.ts'

const run = promisify(execFile)
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const CONVERSATIONS = 300
/** What the C xenstored of Xen 4.17 gave one synchronous client on one CPU of a machine like the development machine, operations a second. */
const C_XENSTORED: Readonly<Record<string, number>> = { write: 36_000, read: 38_000, 'create+remove': 18_000, transaction: 8_500 }
const MUST: Readonly<Record<string, number>> = { write: 20_000, read: 20_000 }

export interface Rate {
	readonly name: string
	readonly perSecond: number
}

/** The client's lines "NAME OPERATIONS NANOSECONDS". */
export function parseRates(output: string): Rate[] {
	return output
		.trim()
		.split('\n')
		.map((line) => {
			const [name = '', count, nanoseconds] = line.split(' ')
			const perSecond = (Number(count) / Number(nanoseconds)) * 1e9
			if (!Number.isFinite(perSecond)) throw new Error(`the client said '${line}'`)
			return { name, perSecond }
		})
}

/** Runs a program on the first CPU alone, where the host can do that. */
function pinned(): readonly string[] {
	try {
		execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' })
		return ['taskset', '-c', '0']
	} catch {
		return []
	}
}

async function startServer(socket: string, pin: readonly string[]): Promise<{ child: ChildProcess; stop(): Promise<{ rss: number }> }> {
	const [program, ...args] = [...pin, process.execPath, '--disable-warning=ExperimentalWarning', here('server.ts'), socket]
	const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
	const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
	if ((await lines.next()).value !== 'ready') throw new Error('the XenStore server did not start')
	const stop = async () => {
		child.stdin!.end()
		return JSON.parse((await lines.next()).value as string) as { rss: number }
	}
	return { child, stop }
}

export async function measureXenstore(
	{ rounds, time_ms }: { rounds: number; time_ms: number },
	say: (line: string) => void,
): Promise<string> {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-bench-'))
	const socket = join(directory, 'socket')
	const client = join(directory, 'client')
	const pin = pinned()
	try {
		execFileSync('gcc', ['-O2', '-Wall', '-o', client, here('client.c')], { stdio: ['ignore', 'ignore', 'inherit'] })
	} catch (error) {
		rmSync(directory, { recursive: true })
		throw new UserError('there is no gcc, which builds the client', { code: 'no-compiler', cause: error })
	}
	const { stop } = await startServer(socket, pin)
	const rates = new Map<string, number[]>()
	const conversations: Record<string, number>[] = []
	try {
		for (let round = 1; round <= rounds; round++) {
			say(`round ${round} of ${rounds}: one synchronous client`)
			const [program, ...args] = [...pin, client, socket, String(time_ms)]
			for (const { name, perSecond } of parseRates((await run(program!, args)).stdout))
				rates.set(name, [...(rates.get(name) ?? []), perSecond])
			say(`round ${round} of ${rounds}: ${CONVERSATIONS} domains at once`)
			const { stdout } = await run(process.execPath, [
				'--disable-warning=ExperimentalWarning',
				here('conversations.ts'),
				socket,
				String(CONVERSATIONS),
			])
			conversations.push(JSON.parse(stdout))
		}
		const { rss } = await stop()
		return report(rates, conversations, rss, pin.length > 0)
	} finally {
		rmSync(directory, { recursive: true, force: true })
	}
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!

function report(
	rates: ReadonlyMap<string, readonly number[]>,
	conversations: readonly Record<string, number>[],
	rss: number,
	one: boolean,
): string {
	const rows = [...rates].map(([name, values]) => {
		const rate = median(values)
		const must = MUST[name]
		const verdict = must === undefined ? '' : rate >= must ? 'met' : 'not met'
		return `| ${name} | ${rate.toFixed(0)} | ${C_XENSTORED[name] ?? ''} | ${must ?? ''} | ${verdict} |`
	})
	const of = (key: string) => median(conversations.map((conversation) => conversation[key]!))
	return [
		`One synchronous client${one ? ', on the same CPU as the server' : ' (taskset is missing: on any CPU)'}:`,
		'',
		'| operation | a second | C xenstored, a second | must | |',
		'|---|--:|--:|--:|---|',
		...rows,
		'',
		`${CONVERSATIONS} domains started and shut down at once: ${of('total_ms').toFixed(0)} ms in all; fastest ${of('fastest_ms').toFixed(0)} ms, slowest ${of('slowest_ms').toFixed(0)} ms; ` +
			`longest wait for one answer ${of('longestWait_ms').toFixed(0)} ms. The server's memory afterwards: ${(rss / 2 ** 20).toFixed(0)} MiB.`,
		'',
	].join('\n')
}
