// Random cases on the real processor and on ours: node tests/isa/differential.ts [--seed N] [--seconds S] [--only REGEXP] [--engine run]

import { parseArgs } from 'node:util'
import { loadCore } from './core.ts'
import { fuzzCase } from './generate/fuzz.ts'
import { judge } from './judge.ts'
import { type Engine, IsaMachine } from './machine.ts'
import { nativeUnavailable } from './native.ts'
import { Random } from './random.ts'
import { Report, replay } from './replay.ts'
import { generateCases, SHAPES } from './shapes.ts'

export interface DifferentialRun {
	readonly seed: number
	readonly seconds: number
	readonly only?: RegExp | undefined
	readonly engine?: Engine
}

/** Rounds of one case of every shape until the time is over, or a hundred cases differ. */
export async function differential({ seed, seconds, only, engine = 'run' }: DifferentialRun): Promise<Report> {
	const machine = new IsaMachine(await loadCore(), engine)
	const shapes = only ? SHAPES.filter((shape) => only.test(shape.label)) : SHAPES
	const random = new Random(seed)
	const report = new Report()
	const end = performance.now() + seconds * 1000
	while (performance.now() < end && report.failed < 100) {
		const cases = generateCases(shapes, shapes.length > 200 ? 1 : 100, random)
		if (!only) for (let i = 0; i < 500; i++) cases.push(fuzzCase(random, i % 4 === 0))
		replay(machine, judge(cases), report)
	}
	return report
}

async function main(): Promise<void> {
	const text = { type: 'string' } as const
	const { values } = parseArgs({ options: { seed: text, seconds: text, only: text, engine: text } })
	const unavailable = nativeUnavailable()
	if (unavailable) throw new Error(`cannot ask the real processor: ${unavailable}`)
	const seed = Number(values.seed ?? Date.now() % 1_000_000)
	const only = values.only === undefined ? undefined : new RegExp(values.only)
	const report = await differential({ seed, seconds: Number(values.seconds ?? 10), only, engine: (values.engine ?? 'run') as Engine })
	console.log(`seed ${seed}: ${report.cases} cases, ${report.failed} differ`)
	if (report.failed) console.log(report.text())
	process.exitCode = report.failed ? 1 : 0
}

if (import.meta.main) await main()
