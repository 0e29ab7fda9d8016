/** Prints what was measured, and records it. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Results } from './measurement.ts'
import { mustTable } from './musts.ts'
import type { Options } from './options.ts'
import { guestTable, programTable } from './report.ts'

const RECORD = fileURLToPath(new URL('RESULTS.md', import.meta.url))

/** `facts` are what was measured with. Returns the exit status. */
export function present(results: Results, options: Options, facts: readonly string[]): number {
	const { rounds, time_ms } = options
	const problems = [...results.disagreements().map((text) => `checksums differ: ${text}`), ...results.problems]
	const guests = guestTable(results)
	const disturbed = (['domain', 'tcg'] as const).map((platform) => [platform, results.disturbed(platform)] as const)
	const text = [
		heading([
			...facts,
			`medians of ${rounds} round${rounds === 1 ? '' : 's'} of ${time_ms} ms${options.cpuTime ? ', in host CPU time' : ''}`,
		]),
		programTable(results, [...options.programs, ...options.realPrograms]),
		...(guests === null ? [] : [guests]),
		...(results.has('domain') ? [mustTable(results)] : []),
		...disturbed
			.filter(([, names]) => names.length > 0)
			.map(([platform, names]) => `The host was busy with other work, which has made these look slow: ${platform}: ${names.join(', ')}.\n`),
		...(problems.length === 0 ? [] : [`Problems:\n\n${problems.map((problem) => `- ${problem}\n`).join('')}`]),
	].join('\n')
	process.stdout.write(text)
	if (options.record) record(text)
	return problems.length === 0 ? 0 : 1
}

/** Date, commit and machine, and what was measured with. */
export function heading(facts: readonly string[]): string {
	const [title, ...machine] = machineFacts()
	return `## ${title}\n\n${[...machine, ...facts].join('; ')}.\n`
}

/** The newest results come first, below the file's heading. */
export function record(text: string): void {
	const old = existsSync(RECORD) ? readFileSync(RECORD, 'utf8') : '# Results\n'
	const at = old.indexOf('\n## ')
	const [head, rest] = at < 0 ? [old, ''] : [old.slice(0, at), old.slice(at)]
	writeFileSync(RECORD, `${head.trimEnd()}\n\n${text.trimEnd()}\n${rest}`)
}

/** Date and commit first, then the machine's class. */
function machineFacts(): string[] {
	const git = (...args: string[]) =>
		execFileSync('git', args, { encoding: 'utf8', cwd: fileURLToPath(new URL('.', import.meta.url)) }).trim()
	let commit = 'unknown commit'
	try {
		commit =
			git('rev-parse', '--short', 'HEAD') +
			(git('status', '--porcelain', '--untracked-files=no', '--', '../src') === '' ? '' : ' and changes')
	} catch {
		// Not a clone.
	}
	const [model, memory_GiB] = [cpus()[0]?.model.trim() ?? 'unknown CPU', totalmem() / 2 ** 30]
	return [
		`${new Date().toISOString().slice(0, 10)}, ${commit}`,
		`${model}, ${cpus().length} CPUs, ${memory_GiB.toFixed(0)} GiB, load average ${loadavg()[0]!.toFixed(1)}`,
		`Node ${process.version.slice(1)}`,
	]
}
