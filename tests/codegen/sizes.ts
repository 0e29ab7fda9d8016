// How many bytes of WebAssembly the translator makes of an instruction: node tests/codegen/sizes.ts renews the fixture.

import { writeFileSync } from 'node:fs'
import type { IsaCase } from '../isa/case.ts'
import { loadCore } from '../isa/core.ts'
import { IsaMachine } from '../isa/machine.ts'
import { baseState } from '../isa/state.ts'
import { INSTRUCTIONS, LOOPS } from './snippets.ts'

export const FIXTURE = new URL('../fixtures/codegen_sizes.txt', import.meta.url)
/** Ends every snippet: UD2. */
const END = '0f0b'

function caseOf(code: string): IsaCase {
	const bytes = Buffer.from(code + END, 'hex')
	const state = baseState(0, false)
	return { label: code, code: bytes, base: 0, compat: false, state, memory: [], undefinedFlags: 0, undefinedStatus: 0, tolerance: 0 }
}

/** A line a snippet: its bytes beyond those of a region that holds nothing, and what it is. */
export async function sizes(): Promise<string> {
	const machine = new IsaMachine(await loadCore(), 'translate')
	const bytesOf = (code: string) => machine.translatedBytes(caseOf(code))
	const empty = bytesOf('')
	const line = (name: string, code: string) => `${String(bytesOf(code) - empty).padStart(5)}  ${name}\n`
	const head = `${String(empty).padStart(5)}  a region of one UD2; of the others, bytes beyond it\n`
	return head + [...INSTRUCTIONS, ...LOOPS.map(([name, , code]) => [name, code] as const)].map(([name, code]) => line(name, code)).join('')
}

if (import.meta.main) writeFileSync(FIXTURE, await sizes())
