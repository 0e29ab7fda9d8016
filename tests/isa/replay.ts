// Compares our processor with judged cases, and reports what differs by opcode.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { IsaCase, JudgedCase } from './case.ts'
import { agrees, describe, explain } from './compare.ts'
import { loadCore } from './core.ts'
import { decodeCorpus } from './corpus.ts'
import { FAMILIES, type Family } from './families.ts'
import { type Engine, IsaMachine } from './machine.ts'
import { DATA_SIZE } from './memory_map.ts'
import { baseState } from './state.ts'

interface Failure {
	readonly case: IsaCase
	readonly lines: readonly string[]
}

export class Report {
	readonly failures = new Map<string, Failure[]>()
	readonly passed = new Map<string, number>()
	cases = 0

	add(test: IsaCase, lines: readonly string[]): void {
		const failures = this.failures.get(test.label) ?? []
		failures.push({ case: test, lines })
		this.failures.set(test.label, failures)
	}

	get failed(): number {
		return [...this.failures.values()].reduce((sum, list) => sum + list.length, 0)
	}

	/** Opcodes that fail, each with its count and its simplest examples. Empty when all agree. */
	text({ opcodes = 40, examples = 1 } = {}): string {
		if (this.failures.size === 0) return ''
		const groups = [...this.failures].sort(([, a], [, b]) => b.length - a.length)
		const lines = [`${this.failed} of ${this.cases} cases differ from the real processor (expected <> ours), ${groups.length} opcode rows:`]
		for (const [label, failures] of groups.slice(0, opcodes)) {
			const total = failures.length + (this.passed.get(label) ?? 0)
			lines.push(`${label}: ${failures.length} of ${total}`)
			const simplest = failures.toSorted((a, b) => a.lines.length - b.lines.length || a.case.code.length - b.case.code.length)
			for (const failure of simplest.slice(0, examples)) {
				lines.push(`    ${describe(failure.case, baseState(failure.case.base, failure.case.compat))}`)
				lines.push(`      ${failure.lines.slice(0, 6).join('; ')}`)
			}
		}
		if (groups.length > opcodes)
			lines.push(
				`and ${groups.length - opcodes} more: ${groups
					.slice(opcodes)
					.map(([label, list]) => `${label} (${list.length})`)
					.join(', ')
					.slice(0, 3000)}`,
			)
		return lines.join('\n')
	}
}

/** Runs every case whose label matches `only`. */
export function replay(machine: IsaMachine, cases: readonly JudgedCase[], report = new Report(), only?: RegExp): Report {
	const scratch = new Uint8Array(DATA_SIZE)
	for (const { case: test, outcome } of cases) {
		if (only && !only.test(test.label)) continue
		report.cases++
		const actual = machine.run(test)
		if (agrees(test, outcome, actual, machine.data, scratch)) report.passed.set(test.label, (report.passed.get(test.label) ?? 0) + 1)
		else report.add(test, explain(test, outcome, actual, machine.data))
	}
	return report
}

export function readCorpus(family: Family): JudgedCase[] {
	return decodeCorpus(readFileSync(new URL(`./corpus/${family}.br`, import.meta.url)))
}

/** For debugging: node tests/isa/replay.ts [--only REGEXP] [--family NAME] [--engine run] [--opcodes N] [--examples N] */
async function main(): Promise<void> {
	const text = { type: 'string' } as const
	const { values } = parseArgs({ options: { only: text, family: text, engine: text, opcodes: text, examples: text } })
	const machine = new IsaMachine(await loadCore(), (values.engine ?? 'step') as Engine)
	const report = new Report()
	const started = performance.now()
	for (const family of FAMILIES) {
		if (values.family && !values.family.split(',').includes(family)) continue
		const before = [report.cases, report.failed]
		replay(machine, readCorpus(family), report, values.only ? new RegExp(values.only) : undefined)
		console.log(`${family}: ${report.cases - before[0]!} cases, ${report.failed - before[1]!} differ`)
	}
	console.log(report.text({ opcodes: Number(values.opcodes ?? 40), examples: Number(values.examples ?? 1) }))
	console.log(`${((performance.now() - started) / 1000).toFixed(2)} s`)
	process.exitCode = report.failed ? 1 : 0
}

if (import.meta.main) await main()
