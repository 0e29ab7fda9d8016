// Records the corpus: node tests/isa/record.ts [--seed N] [--cases N]. Needs an x86-64 Linux host with gcc.

import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { encodeCorpus } from './corpus.ts'
import { FAMILIES, familyOf } from './families.ts'
import { fuzzCase } from './generate/fuzz.ts'
import { judge } from './judge.ts'
import { nativeUnavailable } from './native.ts'
import { Random } from './random.ts'
import { generateCases, SHAPES } from './shapes.ts'

/** `count` cases of each shape in 64-bit code, a third of that in compatibility code. */
function record(seed: number, count: number): void {
	const unavailable = nativeUnavailable()
	if (unavailable) throw new Error(`cannot record: ${unavailable}`)
	const random = new Random(seed)
	const cases = SHAPES.flatMap((shape) => generateCases([shape], shape.compat ? Math.ceil(count / 3) : count, random))
	for (let i = 0; i < count * 500; i++) cases.push(fuzzCase(random, i % 4 === 0))
	const judged = judge(cases)
	const folder = new URL('./corpus/', import.meta.url)
	mkdirSync(folder, { recursive: true })
	for (const family of FAMILIES) {
		const members = judged.filter((one) => familyOf(one) === family)
		const file = encodeCorpus(members)
		writeFileSync(new URL(`${family}.br`, folder), file)
		console.log(`${family}: ${members.length} cases, ${file.length} bytes`)
	}
	console.log(`seed ${seed}, ${cases.length} cases, ${cases.length - judged.length} left out`)
}

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, cases: { type: 'string', default: '12' } } })
record(Number(values.seed), Number(values.cases))
