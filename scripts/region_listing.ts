/** Guest code and WebAssembly of regions as text, for dump_region.ts. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import * as L from '../src/x86/core/layout.ts'
import type { CodeSnapshot } from '../src/x86/translator/code_snapshot.ts'
import type { Block } from '../src/x86/translator/discover.ts'
import { type Instruction, pageOf } from '../src/x86/translator/instruction.ts'

/** Of an offset from the entry's page, hexadecimal. */
export function offset(value: number): string {
	return `${value < 0 ? '-' : ''}${Math.abs(value).toString(16).padStart(4, '0')}`
}

/** Where control goes behind a block. */
export function describeEnd({ end }: Block): string {
	if (end.kind === 'goto') return `  then ${offset(end.target)}`
	if (end.kind === 'branch') return `  then ${offset(end.taken)} if condition ${end.cc}, else ${offset(end.next)}`
	return `  then ${end.kind}`
}

/** Offset, bytes, operation and operands as the decoder knows them. */
export function describe(instruction: Instruction, snapshot: CodeSnapshot): string {
	const { off, length, op, size, memory, reg, rm, imm } = instruction
	const bytes = Array.from({ length }, (_, n) => {
		const at = off + n
		return (snapshot.pages.get(pageOf(at))?.bytes[at & 0xfff] ?? 0).toString(16).padStart(2, '0')
	})
	const operands = [
		`size=${size}`,
		`reg=${reg}`,
		memory ? `[${address(instruction)}]` : `rm=${rm}`,
		...(imm === 0n ? [] : [`imm=${hex(imm)}`]),
	]
	return `    ${offset(off)}  ${bytes.join(' ').padEnd(32)}  ${op.padEnd(10)} ${operands.join(' ')}`
}

function address({ base, index, scale, disp, addressRecord }: Instruction): string {
	if (addressRecord !== 0) return 'computed'
	const terms = [
		slot(base),
		slot(index) && `${slot(index)}${scale === 0 ? '' : `*${1 << scale}`}`,
		disp === 0 ? '' : `${disp < 0 ? '-' : ''}0x${Math.abs(disp).toString(16)}`,
	]
	return terms.filter((term) => term !== '').join(' + ') || '0'
}

const REGISTERS = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']

function slot(at: number): string {
	if (at === L.SLOT_ZERO) return ''
	return at === L.SLOT_PAGE ? 'page' : (REGISTERS[at / 8] ?? `slot ${at.toString(16)}`)
}

function hex(value: bigint): string {
	return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`
}

/** By the Binaryen that AssemblyScript brings. */
export async function textOf(wasm: Uint8Array): Promise<string> {
	const require = createRequire(createRequire(import.meta.url).resolve('assemblyscript/package.json'))
	const { default: binaryen } = await import(pathToFileURL(require.resolve('binaryen')).href)
	const module = binaryen.readBinary(wasm)
	module.setFeatures(binaryen.Features.All)
	return module.emitText()
}
