import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../../src/abi/sched.ts'
import { connectXenstore } from '../../src/platform/node/xenstore_socket.ts'
import type { XendClient } from '../../src/sdk/client.ts'
import { kill, processesOf, reconnect, xenstoredPid } from '../support/processes.ts'
import { ender, NAPPER, SLEEPER } from '../support/tiny_kernel.ts'
import { delay, PrivateXend } from '../support/xend.ts'

// Lifecycle operations on domains of a few instructions, while xend, xenstored and the hypervisor are killed with -9 at random moments.

const OPERATIONS = process.env.XENOTYPE_NIGHTLY ? 200 : 12
const MAX_DOMAINS = 5
/** Before what is held is counted: caches fill, code is compiled. */
const WARM_UP = process.env.XENOTYPE_NIGHTLY ? 100 : 8
/** What garbage and caches may make of it; a domain's memory that is kept shows in the end. */
const GROWTH_MIB = 64
const SETTLE_MS = 20_000

/** What must be listed: what was reported is certain; what was cut off may have happened or not. */
type Certainty = 'there' | 'gone' | 'either'

/** Numbers from 0 to 1, the same for the same seed. */
function generator(seed: number): () => number {
	let state = seed >>> 0
	return () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0
		return state / 2 ** 32
	}
}

class Run {
	readonly expected = new Map<string, Certainty>()
	/** Those that end by themselves, sooner or later: being listed now says nothing of the next moment. */
	private readonly mortals = new Set<string>()
	/** Those whose guests suspend themselves, and the files of those that were saved. */
	private readonly nappers = new Set<string>()
	private readonly saved = new Map<string, string>()
	/** Managed domains: always listed. Of those that are suspended for certain. */
	readonly managed = new Set<string>()
	private readonly suspended = new Set<string>()
	readonly xend: PrivateXend
	readonly random: () => number
	/** How often which process was killed. */
	readonly killed = new Map<string, number>()
	client: XendClient
	private readonly kernels: { readonly sleeper: string; readonly napper: string; readonly rebooter: string; readonly poweroff: string }

	constructor(xend: PrivateXend, client: XendClient, random: () => number) {
		this.xend = xend
		this.client = client
		this.random = random
		const file = (name: string, kernel: Uint8Array) => {
			const path = join(xend.rundir.path, name)
			writeFileSync(path, kernel)
			return path
		}
		this.kernels = {
			sleeper: file('sleeper', SLEEPER),
			napper: file('napper', NAPPER),
			rebooter: file('rebooter', ender(SHUTDOWN_reboot)),
			poweroff: file('poweroff', ender(SHUTDOWN_poweroff)),
		}
	}

	/** One operation, which a kill may cut off. */
	async operate(n: number): Promise<string> {
		const live = [...this.expected].filter(([name, is]) => is !== 'gone' && !this.managed.has(name)).map(([name]) => name)
		if (this.random() < 0.4)
			return this.saveOrBringBack(
				n,
				live.filter((name) => this.nappers.has(name)),
			)
		const name = live[Math.floor(this.random() * live.length)]
		const choice = this.random()
		if (name === undefined || (live.length < MAX_DOMAINS && choice < 0.35)) return this.create(`d${n}`, this.random() < 0.5)
		if (choice < 0.5) return this.endByItself(`e${n}`, this.random() < 0.5)
		if (choice < 0.75) return this.attempt(`destroy ${name}`, [name], { [name]: 'gone' }, () => this.client.destroy(name))
		if (choice < 0.85) {
			const renamed = `r${n}`
			if (this.mortals.has(name)) this.mortals.add(renamed)
			if (this.nappers.has(name)) this.nappers.add(renamed)
			const outcome = { [name]: 'gone', [renamed]: this.mortals.has(name) ? 'either' : 'there' } as const
			return this.attempt(`rename ${name} ${renamed}`, [name, renamed], outcome, () => this.client.rename(name, renamed))
		}
		return this.attempt(`unpause ${name}`, [], {}, () => this.client.unpause(name))
	}

	/** What goes through files: save and restore, and suspend and resume of managed domains. */
	private saveOrBringBack(n: number, nappers: readonly string[]): Promise<string> {
		const gone = [...this.saved].filter(([name]) => this.expected.get(name) === 'gone')
		const [napper, [away, path] = [], managed] = [
			pick(nappers, this.random()),
			pick(gone, this.random()) ?? [],
			pick(
				[...this.managed].filter((name) => this.expected.get(name) === 'there'),
				this.random(),
			),
		]
		const choice = this.random()
		if (managed === undefined) return this.keep(`m${n}`)
		if (choice < 0.25) return this.suspend(managed)
		if (choice < 0.5) return this.resume(managed)
		if (away !== undefined && path !== undefined && choice < 0.75)
			return this.attempt(`restore ${away}`, [away], { [away]: 'there' }, () => this.client.restore({ path }))
		return napper === undefined ? this.createNapper(`n${n}`) : this.save(napper)
	}

	private createNapper(name: string): Promise<string> {
		this.nappers.add(name)
		const values = { name, kernel: this.kernels.napper, memory: 4 }
		return this.attempt(`create ${name}`, [name], { [name]: 'there' }, () => this.client.create({ values, paused: false }))
	}

	private save(name: string): Promise<string> {
		const path = join(this.xend.rundir.path, `${name}.save`)
		return this.attempt(`save ${name}`, [name], { [name]: 'gone' }, async () => {
			await this.client.save(name, { path })
			this.saved.set(name, path)
		})
	}

	private keep(name: string): Promise<string> {
		this.managed.add(name)
		const values = { name, kernel: this.kernels.napper, memory: 4 }
		return this.attempt(`new ${name}`, [name], { [name]: 'there' }, () => this.client.define({ values }))
	}

	private suspend(name: string): Promise<string> {
		return this.attempt(`suspend ${name}`, [], {}, async () => {
			const { domid, state } = await this.client.domain(name)
			if (domid === null && state === '') await this.client.start(name, { paused: false })
			// A resume that was cut off may have left it as it was.
			if (domid !== null || state === '') await this.client.suspend(name)
			this.suspended.add(name)
		})
	}

	private resume(name: string): Promise<string> {
		const wasSuspended = this.suspended.delete(name)
		return this.attempt(`resume ${name}${wasSuspended ? ', which is suspended' : ''}`, [], {}, () =>
			this.client.resume(name, { paused: false }),
		)
	}

	/** Ends the managed domains. */
	async forgetManaged(): Promise<void> {
		for (const name of this.managed) {
			if (this.expected.get(name) === 'gone') continue
			await this.client.destroy(name).catch(() => {})
			await this.client.undefine(name)
		}
		this.managed.clear()
		this.suspended.clear()
	}

	private create(name: string, paused: boolean): Promise<string> {
		const values = { name, kernel: this.kernels.sleeper, memory: 4 }
		return this.attempt(`create ${name}`, [name], { [name]: 'there' }, () => this.client.create({ values, paused }))
	}

	/** A guest that powers off, or reboots because it was asked to and then once more, which is too fast: it ends, whoever watches. */
	private endByItself(name: string, reboots: boolean): Promise<string> {
		const kernel = reboots ? this.kernels.rebooter : this.kernels.poweroff
		this.mortals.add(name)
		return this.attempt(`create ${name}, which ends`, [name], {}, async () => {
			await this.client.create({ values: { name, kernel, memory: 4 }, paused: true })
			if (reboots) await this.client.shutdown(name, 'reboot')
			await this.client.unpause(name)
			this.expected.set(name, 'gone')
		})
	}

	private async attempt(
		what: string,
		unsure: readonly string[],
		done: Record<string, Certainty>,
		act: () => Promise<unknown>,
	): Promise<string> {
		for (const name of unsure) this.expected.set(name, 'either')
		try {
			await act()
			for (const [name, certainty] of Object.entries(done)) this.expected.set(name, certainty)
			return what
		} catch (error) {
			return `${what}: ${(error as Error).message}`
		}
	}

	/** Kills one of the processes, or none. */
	async strike(victims: 'any' | 'xend'): Promise<string> {
		const [choice, moment_ms] = [this.random(), this.random() * 300]
		const { pid, hypervisorPid } = await this.client.daemon()
		await delay(moment_ms)
		if (choice < 0.55) return this.kill('xend', pid)
		if (victims === 'any' && choice < 0.7) return this.kill('xenstored', xenstoredPid(this.xend.rundir))
		if (victims === 'any' && choice < 0.8) return this.kill('hypervisor', hypervisorPid)
		return ''
	}

	private async kill(victim: 'xend' | 'xenstored' | 'hypervisor', pid: number | undefined): Promise<string> {
		await kill(pid)
		this.killed.set(victim, (this.killed.get(victim) ?? 0) + 1)
		return `${victim} killed`
	}

	/** Waits until what is listed is what must be, as XenStore has it too. What was uncertain is known afterwards. */
	async check(after: string): Promise<void> {
		this.client = await reconnect(this.xend)
		let fault = await this.fault()
		for (const end = Date.now() + SETTLE_MS; fault !== undefined && Date.now() < end; fault = await this.fault()) await delay(50)
		assert.equal(fault, undefined, after)
		const names = (await this.client.list()).map(({ name }) => name)
		for (const name of this.expected.keys())
			this.expected.set(name, !names.includes(name) ? 'gone' : this.mortals.has(name) ? 'either' : 'there')
	}

	/** What is wrong with what is listed. */
	private async fault(): Promise<string | undefined> {
		const listed = (await this.client.list()).slice(1)
		const names = listed.map(({ name }) => name)
		const fault = (what: string) => `${what} in [${names}]`
		if (new Set(names).size < names.length) return fault('a name twice')
		for (const name of names) if (!this.expected.has(name)) return fault(`nobody's domain ${name}`)
		for (const [name, is] of this.expected)
			if (is !== 'either' && names.includes(name) !== (is === 'there')) return fault(`${name} is not ${is}`)
		for (const { name, domid, state } of listed)
			if (this.suspended.has(name) && (domid !== null || state !== '---s--')) return fault(`${name} is not suspended but '${state}'`)
		const domids = ['0', ...listed.flatMap(({ domid }) => (domid === null ? [] : [String(domid)]))].sort()
		const inStore = await this.storeDomids().catch((error: Error) => error.message)
		return String(inStore) === String(domids) ? undefined : fault(`XenStore has ${inStore}`)
	}

	private async storeDomids(): Promise<readonly string[] | undefined> {
		const store = await connectXenstore(this.xend.rundir.xenstore)
		try {
			return (await store.ls('/local/domain'))?.sort()
		} finally {
			store.close()
		}
	}
}

function pick<T>(list: readonly T[], at: number): T | undefined {
	return list[Math.floor(at * list.length)]
}

/** Operations, of which each may be struck, and a check after each. `done` of them have been before. */
async function operate(run: Run, seed: number, count: number, victims: 'any' | 'xend', done = 0): Promise<void> {
	const history: string[] = []
	for (let n = done; n < done + count; n++) {
		const [what, struck] = await Promise.all([run.operate(n), run.strike(victims)])
		history.push(`${n}: ${what}; ${struck}`)
		// A file that is whole is a domain.
		if (struck === '') assert.doesNotMatch(what, /^(save|restore|suspend) .*: |^resume .* suspended: /, history.join('\n'))
		// With their hypervisor, all domains go.
		if (struck === 'hypervisor killed')
			for (const [name, is] of run.expected) if (is === 'there' && !run.managed.has(name)) run.expected.set(name, 'either')
		await run.check(`XENOTYPE_SEED=${seed}\n${history.join('\n')}`)
	}
}

const seed = Number(process.env.XENOTYPE_SEED ?? Math.floor(Math.random() * 1e6))

test(`processes are killed at random during ${OPERATIONS} operations: no domain is lost, doubled or left over`, {
	timeout: 1_800_000,
}, async (context) => {
	await using xend = new PrivateXend()
	const run = new Run(xend, await reconnect(xend), generator(seed))
	await operate(run, seed, OPERATIONS, 'any')
	context.diagnostic(`killed ${JSON.stringify(Object.fromEntries(run.killed))}`)
	await run.client.stop({ domains: 'destroy' })
	assert.deepEqual(processesOf(xend.rundir), [])
	assert.deepEqual(readdirSync(xend.rundir.records), [])
	const left = readdirSync(xend.rundir.path, { recursive: true, withFileTypes: true })
	assert.deepEqual(
		left.filter((entry) => entry.isSocket()).map(({ name }) => name),
		[],
	)
})

/** Open files, and MiB, of the processes that have lived through it, without a domain. */
async function census(run: Run): Promise<{ readonly files: readonly number[]; readonly memory_mib: number }> {
	await run.forgetManaged()
	for (const { domid } of await run.client.list())
		if (domid !== 0 && domid !== null) await run.client.destroy(String(domid)).catch(() => {})
	for (const [name] of run.expected) run.expected.set(name, 'gone')
	await run.check('the census')
	const pids = [(await run.client.daemon()).hypervisorPid, xenstoredPid(run.xend.rundir) ?? 0]
	const files = () => pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length)
	// What has just ended is let go of within moments.
	let least = files()
	for (let waited = 0; waited < 40; waited++) {
		await delay(50)
		least = least.map((count, index) => Math.min(count, files()[index]!))
	}
	const memory = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
	return { files: least, memory_mib: pids.reduce((sum, pid) => sum + memory(pid), 0) }
}

test(`xend is killed at random during ${OPERATIONS} operations: hypervisor and xenstored hold no more than before`, {
	timeout: 1_800_000,
}, async (context) => {
	await using xend = new PrivateXend()
	const run = new Run(xend, await reconnect(xend), generator(seed))
	await operate(run, seed, WARM_UP, 'xend')
	const before = await census(run)
	await operate(run, seed, OPERATIONS, 'xend', WARM_UP)
	const after = await census(run)
	context.diagnostic(`killed ${JSON.stringify(Object.fromEntries(run.killed))}`)
	context.diagnostic(`before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`)
	assert.deepEqual(after.files, before.files)
	assert(after.memory_mib < before.memory_mib + GROWTH_MIB, `${before.memory_mib} MiB became ${after.memory_mib} MiB`)
})
