import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { configDirectories } from '../daemon/xend_config.ts'
import { INCOMPLETE } from '../platform/node/output_file.ts'
import type { XendClient } from '../sdk/client.ts'
import type { DomainInfo } from '../toolstack/domain_record.ts'
import type { CommandContext } from './command.ts'
import { loadConfiguration } from './create.ts'
import { domainNews, type WatchedDomain } from './domain_news.ts'
import { NO_MIGRATION } from './refusals.ts'
import { unknownTask } from './unknown_task.ts'

type Environment = Readonly<Record<string, string | undefined>>

const USAGE = `Usage: xendomains start|stop|restart|status

  start     Bring back what was saved, and create a domain of every configuration file in the auto directory that does not run yet.
  stop      Save every domain, or ask it to shut down, and wait until all have ended.
  restart   Both, in turn.
  status    Say which of the auto directory's domains run; the status is 3 when one does not.

In the environment, as in /etc/default/xendomains:

  XENDOMAINS_AUTO          The directory; without it, auto beside xend-config.sxp.
  XENDOMAINS_AUTO_ONLY     true: stop only the auto directory's domains.
  XENDOMAINS_SAVE          A directory: stop saves domains to it; one that can't be saved is shut down.
  XENDOMAINS_RESTORE       true: start brings them back from there.
  XENDOMAINS_CMD_MAXWAIT   How many seconds to wait for domains to end; 300.
`

/** Variables of Xen's xendomains, with the reason. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
	XENDOMAINS_MIGRATE: NO_MIGRATION,
	XENDOMAINS_SYSRQ: 'domains are saved or asked to shut down, and sent nothing before',
}

/** As init scripts have it: not running. */
const NOT_RUNNING = 3
const MAX_WAIT_S = 86400

/** Domains that come and go with the host. Returns the exit status; one domain's failure keeps none of the others back. */
export async function runXendomains(words: readonly string[], context: CommandContext, env: Environment): Promise<number> {
	const task = { start, stop, restart, status }[words.join(' ')]
	if (task === undefined) {
		const asked = ['help', '--help', '-h'].includes(words.join(' '))
		if (!asked && words.length > 0) context.complain(unknownTask('xendomains', words))
		context.print(USAGE.trimEnd())
		return asked ? 0 : 1
	}
	try {
		for (const [name, why] of Object.entries(WITHOUT_EFFECT)) {
			if (env[name]) context.complain(`Warning: ${name} = '${env[name]}' has no effect: ${why}`)
		}
		return await task(context, env)
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		context.complain(`Error: ${error.message}`)
		return 1
	}
}

async function start(context: CommandContext, env: Environment): Promise<number> {
	const client = await context.connect()
	let failures = env.XENDOMAINS_RESTORE === 'true' ? await restoreAll(context, client, savedFiles(env)) : 0
	const running = await runningNames(client)
	for (const path of autoFiles(env)) {
		try {
			const { config, values } = read(context, path)
			if (running.has(config.name)) {
				context.print(`${config.name} runs already`)
				continue
			}
			const { domain } = await client.create({ values })
			running.add(domain.name)
			context.print(`Started domain ${domain.name} (id=${domain.domid})`)
		} catch (error) {
			if (!(error instanceof UserError)) throw error
			context.complain(`Error: ${path}: ${error.message}`)
			failures++
		}
	}
	return failures === 0 ? 0 : 1
}

/** Brings domains back from their files, which go then. How many could not be. */
async function restoreAll(context: CommandContext, client: XendClient, paths: readonly string[]): Promise<number> {
	let failures = 0
	for (const path of paths) {
		try {
			const { domain } = await client.restore({ path })
			rmSync(path)
			context.print(`Restored domain ${domain.name} (id=${domain.domid})`)
		} catch (error) {
			if (!(error instanceof UserError)) throw error
			context.complain(`Error: ${error.message}`)
			failures++
		}
	}
	return failures
}

/** Saves domains to a directory, under their names. Those that could not be. */
async function saveAll<D extends { readonly name: string }>(
	context: CommandContext,
	client: XendClient,
	directory: string,
	domains: readonly D[],
): Promise<D[]> {
	const left: D[] = []
	for (const domain of domains) {
		try {
			await client.save(domain.name, { path: join(directory, domain.name) })
			context.print(`Domain ${domain.name} saved`)
		} catch (error) {
			if (!(error instanceof UserError)) throw error
			context.complain(`Error: ${error.message}: it is shut down`)
			left.push(domain)
		}
	}
	return left
}

async function stop(context: CommandContext, env: Environment): Promise<number> {
	const client = await context.connectRunning()
	if (client === undefined) return 0
	const wait_s = maxWait_s(env)
	const own = env.XENDOMAINS_AUTO_ONLY === 'true' ? new Set(autoFiles(env).flatMap((path) => nameOf(context, path) ?? [])) : undefined
	const running = (await client.list()).filter((domain): domain is DomainInfo & { domid: number } => (domain.domid ?? 0) > 0)
	const directory = saveDirectory(env)
	const ours = running.filter(({ name }) => own?.has(name) ?? true)
	const domains = directory === undefined ? ours : await saveAll(context, client, directory, ours)
	const waiting = new Set<WatchedDomain>()
	await using news = await domainNews(context, client)
	const timer = setTimeout(() => void news[Symbol.asyncDispose](), wait_s * 1000)
	try {
		let failures = 0
		for (const domain of domains) {
			try {
				await client.shutdown(domain.name, 'poweroff')
				waiting.add(domain)
			} catch (error) {
				if (!(error instanceof UserError)) throw error
				context.complain(`Error: ${error.message}`)
				failures++
			}
		}
		if (waiting.size > 0) {
			for await (const { domain, event } of news.of([...waiting])) {
				const over = event.type === 'ended' || event.type === 'unseen'
				if (over && waiting.delete(domain)) context.print(`Domain ${domain.name} terminated`)
				if (waiting.size === 0) break
			}
		}
		for (const { name } of waiting) context.complain(`Error: Domain '${name}' has not ended within ${wait_s} s`)
		return failures + waiting.size === 0 ? 0 : 1
	} finally {
		clearTimeout(timer)
	}
}

async function restart(context: CommandContext, env: Environment): Promise<number> {
	const stopped = await stop(context, env)
	return (await start(context, env)) || stopped
}

async function status(context: CommandContext, env: Environment): Promise<number> {
	const client = await context.connectRunning()
	const running = client === undefined ? new Set<string>() : await runningNames(client)
	const names = autoFiles(env).flatMap((path) => nameOf(context, path) ?? [])
	for (const name of names) context.print(`${name} ${running.has(name) ? 'runs' : 'does not run'}`)
	return names.every((name) => running.has(name)) ? 0 : NOT_RUNNING
}

async function runningNames(client: XendClient): Promise<Set<string>> {
	return new Set((await client.list()).filter(({ domid }) => domid !== null && domid !== 0).map(({ name }) => name))
}

/** The auto directory's files by name, but for what editors and packages leave there. */
function autoFiles(env: Environment): string[] {
	const candidates = env.XENDOMAINS_AUTO ? [env.XENDOMAINS_AUTO] : configDirectories(env).map((directory) => join(directory, 'auto'))
	const directory = candidates.find((candidate) => existsSync(candidate))
	if (directory === undefined) return []
	const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => !entry.isDirectory())
	const names = files.map(({ name }) => name).filter((name) => !/^\.|~$|\.(rpmnew|rpmsave|rpmorig|dpkg-\w+)$/.test(name))
	return names.sort().map((name) => join(directory, name))
}

/** Undefined when domains are not to be saved. Throws UserError when it is no directory. */
function saveDirectory({ XENDOMAINS_SAVE: directory }: Environment): string | undefined {
	if (!directory) return undefined
	if (!isAbsolute(directory)) throw new UserError(`XENDOMAINS_SAVE = '${directory}' is not valid: it must be an absolute path`)
	mkdirSync(directory, { recursive: true, mode: 0o700 })
	return directory
}

/** Of domains that were saved, by name. */
function savedFiles(env: Environment): string[] {
	const directory = saveDirectory(env)
	if (directory === undefined) return []
	const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.endsWith(INCOMPLETE))
	return files.map(({ name }) => join(directory, name)).sort()
}

function read(context: CommandContext, path: string): ReturnType<typeof loadConfiguration> {
	return loadConfiguration(
		context,
		{
			positional: [],
			options: new Map<string, string | true>([
				['defconfig', path],
				['quiet', true],
			]),
		},
		() => {},
	)
}

/** Undefined, and said, for a file that makes no sense. */
function nameOf(context: CommandContext, path: string): string | undefined {
	try {
		return read(context, path).config.name
	} catch (error) {
		if (!(error instanceof UserError)) throw error
		context.complain(`Error: ${path}: ${error.message}`)
		return undefined
	}
}

function maxWait_s(env: Environment): number {
	const text = env.XENDOMAINS_CMD_MAXWAIT || '300'
	const wait_s = Number(text)
	if (!(wait_s > 0 && wait_s <= MAX_WAIT_S)) {
		throw new UserError(`XENDOMAINS_CMD_MAXWAIT = '${text}' is not valid: it must be more than 0 and at most ${MAX_WAIT_S} seconds`)
	}
	return wait_s
}
