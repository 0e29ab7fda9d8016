// npm start, once its dependencies are there: boots a Debian kernel as a Xen domain and joins its console to this terminal; without a
// terminal, has the guest say who it is, and ends.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Transform, type Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { UserError } from '../src/base/errors.ts'
import { GUEST_READY } from '../src/boot/guest_init.ts'
import type { CommandContext } from '../src/cli/command.ts'
import { followConsole } from '../src/cli/create.ts'
import { splitOnce } from '../src/cli/options.ts'
import { ensureGuestAssets, type GuestAsset } from '../src/platform/node/guest_assets.ts'
import type { XendClient } from '../src/sdk/client.ts'
import { connect, connectRunning } from '../src/sdk/connect.ts'
import { type ConfigValues, checkConfig, overrideValue } from '../src/toolstack/config.ts'
import type { ConfigValue } from '../src/toolstack/config_parser.ts'
import { buildCore } from './build_core.ts'

const NAME = 'guest'
const MEMORY_MIB = 256
/** Without a terminal nobody would notice a guest that hangs. */
const SILENCE_LIMIT_S = 300

const say = (line: string) => void process.stderr.write(`xenotype: ${line}\n`)
const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true

type NamedValues = ConfigValues & { readonly name: string }

async function start(): Promise<number> {
	const given = givenValues(process.argv.slice(2))
	checkConfig({ ...guestValues(undefined), name: NAME, kernel: 'to be found', ...given })
	const guest = given.kernel === undefined ? await debianGuest() : undefined
	await buildCore(say)
	const values = { ...guestValues(guest), ...given }
	const { client, started } = await connect({ report: say })
	if (started) say('started the daemon (xend)')
	const name = typeof given.name === 'string' ? given.name : freeName((await client.list()).map((domain) => domain.name))
	const announce = () => {
		say(`${guest?.version ?? given.kernel} boots as domain '${name}' with ${values.memory} MiB`)
		return writeConfig(values)
	}
	if (interactive) return withTerminal(client, { ...values, name }, announce)
	return withoutTerminal(client, { ...values, name }, announce, { started, ours: guest !== undefined && given.ramdisk === undefined })
}

async function debianGuest(): Promise<GuestAsset> {
	try {
		return (await ensureGuestAssets(['cloud'], say)).cloud as GuestAsset
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		say(error.message)
		const own = 'npm start -- kernel=/path/to/vmlinuz ramdisk=/path/to/initrd'
		throw new UserError(`with a kernel and an initial RAM disk of your own: ${own}`, { code: error.code, exitCode: error.exitCode })
	}
}

/** `name=value` words, as `xm create` takes them, and --no-cache. Paths become absolute. */
function givenValues(words: readonly string[]): Record<string, ConfigValue> {
	const values: Record<string, ConfigValue> = {}
	for (const word of words) {
		if (word === '--no-cache') {
			values.translation_cache = 0
			continue
		}
		const [key, text] = splitOnce(word, '=')
		if (text === undefined)
			throw new UserError(`'${word}' is not understood: npm start takes name=value words, as xm create does`, { code: 'usage' })
		values[key] = key === 'kernel' || key === 'ramdisk' ? resolve(process.env.INIT_CWD ?? process.cwd(), text) : overrideValue(key, text)
	}
	return values
}

function guestValues(guest: GuestAsset | undefined): Record<string, ConfigValue> {
	const images = guest === undefined ? {} : { kernel: guest.kernel, ...(guest.ramdisk === null ? {} : { ramdisk: guest.ramdisk }) }
	return { ...images, memory: MEMORY_MIB, extra: 'console=hvc0' }
}

/** What was booted, for `xm create` to boot again. Returns its path from the root. */
function writeConfig(values: ConfigValues): string {
	const build = fileURLToPath(new URL('../build', import.meta.url))
	mkdirSync(build, { recursive: true })
	const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
	writeFileSync(join(build, 'guest'), `# Written by npm start. Another like it: bin/xm create -c build/guest name=two\n${lines.join('')}`)
	return 'build/guest'
}

function freeName(taken: readonly string[]): string {
	let name = NAME
	for (let n = 2; taken.includes(name); n++) name = `${NAME}${n}`
	return name
}

async function withTerminal(client: XendClient, values: NamedValues, announce: () => string): Promise<number> {
	const { name } = values
	const { domain } = await client.create({ values, paused: true })
	const config = announce()
	const hints: readonly (readonly [command: string, what: string])[] = [
		['list', 'lists the domains'],
		[`console ${name}`, 'joins this console again'],
		[`pause ${name}, unpause ${name}`, 'stops it, and lets it go on'],
		[`create -c ${config} name=two`, 'boots another one'],
		[`shutdown ${name}`, 'shuts it down'],
	]
	process.stderr.write(
		"\nThis terminal is now the domain's console. Ctrl-] detaches and leaves the domain running.\n" +
			`In another terminal of this directory:\n${hints.map(([command, what]) => `  bin/xm ${command.padEnd(36)}${what}\n`).join('')}\n`,
	)
	const { status, detached } = await followConsole(context(process.stdout), client, domain, () => client.unpause(name))
	process.stdout.write('\n')
	if (detached) say(`detached; '${name}' runs on. bin/xm console ${name} joins it again, bin/xm shutdown ${name} ends it`)
	return status
}

/** `started`: the daemon is ours to stop. `ours`: the guest's user space is, and says when it is up. */
async function withoutTerminal(
	client: XendClient,
	values: NamedValues,
	announce: () => void,
	{ started, ours }: { readonly started: boolean; readonly ours: boolean },
): Promise<number> {
	const { name } = values
	const extra = `${values.extra} xenotype.mode=show`
	const creation = client.create({ values: { ...values, extra, on_reboot: 'destroy', on_crash: 'destroy' }, paused: true })
	const leave = async () => {
		const reply = await creation.catch(() => undefined)
		if (reply !== undefined) await client.destroy(String(reply.domain.domid)).catch(() => {})
		if (started) await client.stop({ ifIdle: true }).catch(() => {})
	}
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(signal, () => {
			say(`got ${signal}: destroying '${name}'`)
			void leave().finally(() => process.exit(130))
		})
	}
	const watcher = new OutputWatcher()
	watcher.pipe(process.stdout)
	const silence = setInterval(() => {
		if (!watcher.isSilent(SILENCE_LIMIT_S)) return
		clearInterval(silence)
		say(`'${name}' has written nothing for ${SILENCE_LIMIT_S} s: giving up`)
		// Its console then ends with 'destroyed', which is a failure.
		void client.destroy(name).catch(() => process.exit(1))
	}, 1000)
	try {
		const { domain } = await creation
		announce()
		const { status } = await followConsole(context(watcher), client, domain, () => client.unpause(name))
		if (status === 0 && ours && !watcher.seen) {
			say(`'${name}' ended before its user space was up`)
			return 1
		}
		if (status === 0) say(`'${name}' has powered off`)
		return status
	} finally {
		clearInterval(silence)
		await leave()
	}
}

/** Passes the console on; notices the guest's word that its user space is up, and how long nothing came. */
class OutputWatcher extends Transform {
	seen = false
	private tail = ''
	private last_ms = Date.now()

	isSilent(seconds: number): boolean {
		return Date.now() - this.last_ms > seconds * 1000
	}

	override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
		this.last_ms = Date.now()
		const text = this.tail + chunk.toString('latin1')
		this.seen ||= text.includes(GUEST_READY)
		this.tail = text.slice(-GUEST_READY.length)
		done(null, chunk)
	}
}

function context(stdout: Writable): CommandContext {
	return {
		stdin: process.stdin,
		stdout: stdout as CommandContext['stdout'],
		stderr: process.stderr,
		cwd: process.cwd(),
		connect: async () => (await connect()).client,
		connectRunning: () => connectRunning(),
		print: (line) => void stdout.write(`${line}\n`),
		complain: (line) => void process.stderr.write(`${line}\n`),
	}
}

try {
	process.exitCode = await start()
} catch (error) {
	if (!(error instanceof UserError)) throw error
	say(error.message)
	process.exitCode = error.exitCode
}
process.stdout.write('', () => process.exit())
