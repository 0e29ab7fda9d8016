// Writes tests/fixtures/abi_layout.json: what a C compiler makes of the constants and structures that src/abi declares.
// node scripts/abi_layout.ts DIR, where DIR is xen/include/public of Xen 4.17's sources. Needs gcc.
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Field, Struct } from '../src/abi/struct.ts'

export const layoutFile = fileURLToPath(new URL('../tests/fixtures/abi_layout.json', import.meta.url))

/** Facts by their name in the declarations: a constant's value, 'struct.field' [offset, bytes], a structure's size. */
export interface AbiFacts {
	readonly constants: Record<string, number>
	readonly sizes: Record<string, number>
	readonly fields: Record<string, readonly [number, number]>
}

type AnyStruct = Struct<Record<string, Field>>

const HEADERS = ['xen.h', 'event_channel.h', 'grant_table.h', 'version.h', 'physdev.h', 'vcpu.h', 'sched.h', 'memory.h', 'callback.h']
const MORE_HEADERS = ['nmi.h', 'features.h', 'elfnote.h', 'io/console.h', 'io/xs_wire.h', 'platform.h', 'hvm/hvm_op.h', 'pmu.h']

/** Fields that the declarations name otherwise than C does. */
const C_FIELDS: Readonly<Record<string, string>> = {
	'gnttab_copy.source_u': 'source.u',
	'gnttab_copy.source_domid': 'source.domid',
	'gnttab_copy.source_offset': 'source.offset',
	'gnttab_copy.dest_u': 'dest.u',
	'gnttab_copy.dest_domid': 'dest.domid',
	'gnttab_copy.dest_offset': 'dest.offset',
}

/** What src/abi declares, in the same form. */
export async function declaredFacts(): Promise<AbiFacts & { readonly types: Record<string, string> }> {
	const facts = {
		constants: {} as Record<string, number>,
		sizes: {} as Record<string, number>,
		fields: {} as Record<string, [number, number]>,
	}
	const types: Record<string, string> = {}
	const root = fileURLToPath(new URL('../src/abi/', import.meta.url))
	for (const file of globSync('**/*.ts', { cwd: root }).sort()) {
		if (file.endsWith('.test.ts') || file === 'struct.ts') continue
		for (const [name, value] of Object.entries((await import(join(root, file))) as Record<string, unknown>)) {
			if (typeof value === 'number') facts.constants[name] = value
			else if (isStruct(value)) addStruct(facts, types, value)
		}
	}
	return { ...facts, types }
}

function isStruct(value: unknown): value is AnyStruct {
	return typeof value === 'object' && value !== null && 'fields' in value && 'source' in value
}

function addStruct(
	facts: { sizes: Record<string, number>; fields: Record<string, [number, number]> },
	types: Record<string, string>,
	struct: AnyStruct,
): void {
	const type = struct.source.slice(struct.source.indexOf(': ') + 2)
	const name = type.replace(/^(struct|union) /, '')
	const [outer, member] = type.split('.') as [string, string | undefined]
	types[name] = member === undefined ? outer : `__typeof__(((${outer} *)0)->${member})`
	facts.sizes[name] = struct.size
	for (const [key, field] of Object.entries(struct.fields)) facts.fields[`${name}.${key}`] = [field.offset, field.width * field.count]
}

/** One printing statement a line, so that the lines that do not compile can be dropped: those name nothing of the headers. */
function compile(headers: string, prologue: string, statements: readonly string[]): string {
	const directory = mkdtempSync(join(tmpdir(), 'abi-layout-'))
	const [source, program] = [join(directory, 'layout.c'), join(directory, 'layout')]
	let lines = [...statements]
	const first = prologue.split('\n').length + 1
	for (let attempt = 0; attempt < 20; attempt++) {
		writeFileSync(source, `${prologue}\n${lines.join('\n')}\nreturn 0; }\n`)
		const gcc = spawnSync('gcc', ['-w', '-fmax-errors=0', '-iquote', headers, '-o', program, source], { encoding: 'utf8' })
		if (gcc.status === 0) return execFileSync(program, { encoding: 'utf8' })
		const wrong = new Set([...gcc.stderr.matchAll(/layout\.c:(\d+):\d+: error/g)].map((match) => Number(match[1]) - first))
		if (wrong.size === 0) throw new Error(gcc.stderr)
		lines = lines.filter((_, index) => !wrong.has(index))
	}
	throw new Error(`the headers cannot be compiled: see ${source}`)
}

async function measure(headers: string): Promise<AbiFacts> {
	const declared = await declaredFacts()
	const includes = [...HEADERS, ...MORE_HEADERS].map((header) => `#include "${header}"`).join('\n')
	const prologue = `#include <stdint.h>\n#include <stddef.h>\n#include <stdio.h>\n#define __XEN_TOOLS__ 1\n#define XEN_ERRNO(n, v) XEN_##n = v,\nenum {\n#include "errno.h"\n};\n${includes}\nint main(void) {`
	const statements = [
		...Object.keys(declared.constants).map((name) => `printf("constants ${name} %lld\\n", (long long)(${name}));`),
		...Object.entries(declared.types).map(([name, type]) => `printf("sizes ${name} %zu\\n", sizeof(${type}));`),
		...Object.keys(declared.fields).map((name) => {
			const type = declared.types[name.slice(0, name.lastIndexOf('.'))]
			const field = C_FIELDS[name] ?? name.slice(name.lastIndexOf('.') + 1)
			return `printf("fields ${name} %zu %zu\\n", offsetof(${type}, ${field}), sizeof(((${type} *)0)->${field}));`
		}),
	]
	const facts = {
		constants: {} as Record<string, number>,
		sizes: {} as Record<string, number>,
		fields: {} as Record<string, [number, number]>,
	}
	for (const line of compile(headers, prologue, statements).trim().split('\n')) {
		const [kind, name, value, size] = line.split(' ') as [keyof AbiFacts, string, string, string | undefined]
		if (kind === 'fields') facts.fields[name] = [Number(value), Number(size)]
		else facts[kind][name] = Number(value)
	}
	return facts
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const headers = process.argv[2]
	if (headers === undefined) throw new Error('usage: node scripts/abi_layout.ts DIRECTORY-OF-XEN-PUBLIC-HEADERS')
	writeFileSync(layoutFile, `${JSON.stringify(await measure(headers), null, '\t')}\n`)
}
