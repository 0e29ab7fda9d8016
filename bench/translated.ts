// npm run bench:translated [-- --ms N --rounds N NAME ...]: programs on the processor alone with hot code translated, beside native, in CPU time. The quick look while
// working on the translator: seconds, no guest.
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { loadCore } from '../src/platform/node/load_core.ts'
import { runFlat } from './flat_machine.ts'
import { buildPrograms, PROGRAMS, runsWithoutKernel } from './programs.ts'

const LIMIT_MS = 120_000

const { values, positionals } = parseArgs({
	options: { ms: { type: 'string', default: '1000' }, rounds: { type: 'string', default: '3' } },
	allowPositionals: true,
})
const built = buildPrograms(
	PROGRAMS.filter((program) => runsWithoutKernel(program) && (positionals.length === 0 || positionals.includes(program.name))),
)
if (built === null) throw new Error('there is no gcc, which builds the programs')
const core = await loadCore((line) => process.stderr.write(`${line}\n`))
// What regions are compiled with in a domain (src/platform/node/v8_wasm.ts, vcpu_worker.ts); what may be building the core needs its stack looked at.
for (const flag of ['--experimental-wasm-branch-hinting', '--no-wasm-stack-checks']) setFlagsFromString(flag)

/** Microseconds an iteration, from a program's line "bench NAME ITERATIONS NANOSECONDS CHECKSUM ...". */
function perIteration_us(output: string): number {
	const [, , iterations, nanoseconds] = /bench (\S+) (\d+) (\d+)/.exec(output) ?? []
	return Number(nanoseconds) / Number(iterations) / 1000
}
const least = (numbers: readonly number[]) => Math.min(...numbers)

const logs = new Map<string, number[]>()
process.stdout.write('program        native us   translated us   translated / native\n')
for (const { name, group, path } of built.programs) {
	const rounds = Array.from({ length: Number(values.rounds) }, () => ({
		native: perIteration_us(execFileSync(path, ['-t', '100'], { encoding: 'utf8' })),
		translated: perIteration_us(runFlat(core, path, ['-t', values.ms], LIMIT_MS, { translated: true }).output),
	}))
	const [native, translated] = [least(rounds.map((round) => round.native)), least(rounds.map((round) => round.translated))]
	logs.set(group, [...(logs.get(group) ?? []), Math.log(translated / native)])
	process.stdout.write(
		`${name.padEnd(12)} ${native.toFixed(0).padStart(11)} ${translated.toFixed(0).padStart(15)} ${(translated / native).toFixed(2).padStart(21)}\n`,
	)
}
for (const [group, values] of logs) {
	const mean = Math.exp(values.reduce((a, b) => a + b) / values.length)
	process.stdout.write(`${`${group}, geometric mean`.padEnd(40)} ${mean.toFixed(2).padStart(20)}\n`)
}
