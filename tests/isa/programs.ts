// Random programs, tier against tier and against the real processor:
// node tests/isa/programs.ts [--seconds S] [--seed N] [--programs N] [--engine step,run,translate,translate-all] [--self] [--tiers]
//
// Prints each program that differs, cut down to what it takes. --self: only programs that write to their own code; --tiers: don't ask the real processor.

import { parseArgs } from 'node:util'
import { type IsaCase, type Outcome, VECTOR_HANG } from './case.ts'
import { agrees, describe, explain } from './compare.ts'
import { loadCore } from './core.ts'
import { isPoolShape, poolPiece } from './generate/pool.ts'
import { assemble, isDefined, type Piece, type Program, undefinedAt } from './generate/program.ts'
import { generateProgram, isHarmful } from './generate/programs.ts'
import { ENGINES, type Engine, IsaMachine } from './machine.ts'
import * as map from './memory_map.ts'
import { minimise } from './minimise.ts'
import { nativeUnavailable, runNative } from './native.ts'
import { normalise } from './normalise.ts'
import { Random } from './random.ts'
import { SHAPES } from './shapes.ts'
import { baseState, STATE_RIP, viewOf } from './state.ts'

const BREAKPOINT = 3
const POOL_SEED = 0x9001
const BATCH = 100
const STACK_SIZE = 0x200

/** What a program does, according to the real processor or to another tier. */
type Oracle = (tests: readonly IsaCase[]) => Outcome[]

export interface Difference {
	readonly seed: number
	readonly selfModifying: boolean
	readonly engine: Engine
	readonly lines: readonly string[]
	/** Cut down where it can be repeated on a new machine. */
	readonly program: Program
	readonly repeats: boolean
}

export interface ProgramsRun {
	readonly seed: number
	/** Undefined: as long as it takes. */
	readonly seconds?: number
	/** Undefined: as many as the time allows. */
	readonly programs?: number
	readonly engines?: readonly Engine[]
	/** Undefined: half of them. */
	readonly selfModifying?: boolean | undefined
	/** The real processor, else step() judges. */
	readonly native: boolean
	readonly differences?: number
}

export interface ProgramsReport {
	readonly programs: number
	readonly hangs: number
	readonly differences: readonly Difference[]
}

/** Pieces from every row of the opcode table. The same on every machine. */
export function makePool(core: WebAssembly.Module, count: number): readonly Piece[] {
	const machine = new IsaMachine(core, 'step')
	const random = new Random(POOL_SEED)
	const shapes = SHAPES.filter(isPoolShape)
	const pool: Piece[] = []
	const runs = (test: IsaCase) => {
		const { vector } = machine.run(test)
		return vector === BREAKPOINT && machine.data.subarray(0, STACK_SIZE).every((byte, i) => byte === map.BACKGROUND[i])
	}
	while (pool.length < count) {
		for (const shape of shapes) {
			const made = poolPiece(shape, random, runs)
			if (made !== undefined) pool.push(made)
		}
	}
	return pool
}

function oracleOf(core: WebAssembly.Module, native: boolean): Oracle {
	if (native) return runNative
	const machine = new IsaMachine(core, 'step')
	return (tests) => tests.map((test) => run(machine, test))
}

function run(machine: IsaMachine, test: IsaCase): Outcome {
	const outcome = machine.run(test)
	return { ...outcome, memory: machine.changes(test) }
}

/** Lines that tell how `actual` differs. What the architecture leaves undefined where the program stopped isn't compared. */
function compare(program: Program, test: IsaCase, expected: Outcome, actual: Outcome, data: Uint8Array, scratch: Uint8Array): string[] {
	const { pieces, start } = program
	const entry = viewOf(start.state).getUint32(STATE_RIP, true)
	const rip = Number(viewOf(expected.state).getBigUint64(STATE_RIP, true))
	const at = rip - entry - (expected.vector === BREAKPOINT ? 1 : 0)
	const undefinedFlags = undefinedAt(pieces, assemble(pieces, entry), at)
	const amended = { ...test, undefinedFlags }
	const want = normalise(amended, { ...expected, state: expected.state.slice() })
	const got = normalise(amended, { ...actual, state: actual.state.slice() })
	return agrees(amended, want, got, data, scratch) ? [] : explain(amended, want, got, data)
}

const scratch = new Uint8Array(map.DATA_SIZE)

/** Generates programs until the time is over or enough of them differ. */
export async function runPrograms(options: ProgramsRun): Promise<ProgramsReport> {
	const { seed, seconds = Number.POSITIVE_INFINITY, engines = ENGINES, native, selfModifying } = options
	const core = await loadCore()
	const pool = makePool(core, 1500)
	const judged = engines.filter((engine) => native || engine !== 'step')
	const machines = judged.map((engine) => ({ engine, machine: new IsaMachine(core, engine) }))
	const oracle = oracleOf(core, native)
	const end = performance.now() + seconds * 1000
	const differences: Difference[] = []
	let done = 0
	let hangs = 0
	for (let next = seed; performance.now() < end && done < (options.programs ?? Number.POSITIVE_INFINITY); ) {
		const isSelf = (n: number) => selfModifying ?? n % 3 === 0
		const batch = Array.from({ length: Math.min(BATCH, (options.programs ?? Number.POSITIVE_INFINITY) - done) }, () => {
			const n = next++
			return generateProgram(n, { pool, selfModifying: isSelf(n) })
		})
		const expected = oracle(batch.map(({ start }) => start))
		for (const [i, program] of batch.entries()) {
			done++
			if (expected[i]!.vector === VECTOR_HANG) hangs++
			else {
				for (const { engine, machine } of machines) {
					const actual = machine.run(program.start)
					const lines = compare(program, program.start, expected[i]!, actual, machine.data, scratch)
					if (lines.length === 0) continue
					differences.push(shrink(core, oracle, engine, program, lines))
					if (differences.length >= (options.differences ?? 5)) return { programs: done, hangs, differences }
				}
			}
			if (performance.now() > end) break
		}
	}
	return { programs: done, hangs, differences }
}

/** The smallest program found that still differs on a machine that ran nothing before. */
function shrink(core: WebAssembly.Module, oracle: Oracle, engine: Engine, program: Program, first: readonly string[]): Difference {
	const difference = (pieces: readonly Piece[]): [Program, string[]] | undefined => {
		if (!isDefined(pieces)) return undefined
		const { code } = assemble(pieces, viewOf(program.start.state).getUint32(STATE_RIP, true))
		if (isHarmful(code)) return undefined
		const start = { ...program.start, code }
		const candidate = { ...program, pieces, start }
		const expected = oracle([start])[0]!
		if (expected.vector === VECTOR_HANG) return undefined
		const machine = new IsaMachine(core, engine)
		const lines = compare(candidate, start, expected, machine.run(start), machine.data, scratch)
		return lines.length > 0 ? [candidate, lines] : undefined
	}
	const common = { seed: program.seed, selfModifying: program.start.writableCode === true, engine }
	if (difference(program.pieces) === undefined) return { ...common, program, lines: first, repeats: false }
	const pieces = minimise(
		program.pieces,
		(piece) => piece.label !== undefined,
		(rest) => difference(rest) !== undefined,
	)
	const used = new Set(pieces.flatMap(({ flow, references }) => [...labelsOf(flow), ...references.map(({ label }) => label)]))
	const [smallest, lines] = difference(pieces.filter(({ label }) => label === undefined || used.has(label)))!
	return { ...common, program: smallest, lines, repeats: true }
}

function labelsOf(flow: Piece['flow']): readonly number[] {
	if (flow.kind === 'jump' || flow.kind === 'call') return [flow.label]
	return flow.kind === 'indirect' ? flow.labels : []
}

/** A listing: offset, bytes, what it is. */
export function listing({ seed, selfModifying, engine, program, lines, repeats }: Difference): string {
	const { pieces, start } = program
	const entry = viewOf(start.state).getUint32(STATE_RIP, true)
	const { code, offsets } = assemble(pieces, entry)
	const out = [`seed ${seed}${selfModifying ? ' --self' : ''}, ${engine}${repeats ? '' : ', only after the programs before it'}:`]
	pieces.forEach(({ name, label }, i) => {
		const bytes = Buffer.from(code.subarray(offsets[i], offsets[i + 1])).toString('hex')
		const shown = bytes.length > 60 ? `${bytes.slice(0, 57)}...` : bytes
		out.push(
			label === undefined ? `  ${(entry - map.CODE_VA + offsets[i]!).toString(16).padStart(4, '0')} ${shown.padEnd(28)} ${name}` : name,
		)
	})
	out.push(`  from: ${describe({ ...start, code: new Uint8Array() }, baseState(start.base, false))}`)
	out.push(`  expected <> ours: ${lines.slice(0, 8).join('; ')}`)
	return out.join('\n')
}

async function main(): Promise<void> {
	const text = { type: 'string' } as const
	const flag = { type: 'boolean' } as const
	const { values } = parseArgs({
		options: { seed: text, seconds: text, programs: text, engine: text, differences: text, self: flag, tiers: flag },
	})
	const native = !values.tiers
	const unavailable = native ? nativeUnavailable() : undefined
	if (unavailable) throw new Error(`cannot ask the real processor (--tiers compares the tiers only): ${unavailable}`)
	const seed = Number(values.seed ?? Date.now() % 1_000_000)
	const report = await runPrograms({
		seed,
		seconds: Number(values.seconds ?? 10),
		...(values.programs === undefined ? {} : { programs: Number(values.programs) }),
		...(values.engine === undefined ? {} : { engines: values.engine.split(',') as Engine[] }),
		selfModifying: values.self,
		native,
		differences: Number(values.differences ?? 5),
	})
	for (const difference of report.differences) console.log(`${listing(difference)}\n`)
	console.log(`seed ${seed}: ${report.programs} programs, ${report.hangs} did not end, ${report.differences.length} differ`)
	process.exitCode = report.differences.length > 0 ? 1 : 0
}

if (import.meta.main) await main()
