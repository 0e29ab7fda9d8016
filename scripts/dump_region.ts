// Shows what the translator makes of a program: node scripts/dump_region.ts [--region N] [--] PROGRAM [ARG...] lists its regions in the order in which they were made;
// with --region N, the guest's code of that one and its WebAssembly. PROGRAM is a static x86-64 executable (bench/flat_machine.ts), such as build/bench/sieve.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { buildingRoom, runFlat } from '../bench/flat_machine.ts'
import { loadCore } from '../src/platform/node/load_core.ts'
import * as L from '../src/x86/core/layout.ts'
import { CodeReader, READER_BYTES } from '../src/x86/translator/code_reader.ts'
import { type CodeSnapshot, SnapshotPages } from '../src/x86/translator/code_snapshot.ts'
import type { CompileReply, CompileRequest, RegionCompiler } from '../src/x86/translator/compiler.ts'
import { regionModule } from '../src/x86/translator/core_imports.ts'
import { type Block, discover, type Region } from '../src/x86/translator/discover.ts'
import { type Instruction, pageOf } from '../src/x86/translator/instruction.ts'
import { type BuildingRoom, type BuiltRegion, buildRegion } from '../src/x86/translator/region_builder.ts'

const LIMIT_MS = 120_000

interface Made {
	readonly snapshot: CodeSnapshot
	readonly built: BuiltRegion
}

/** Builds regions at once, and remembers them. */
class RecordingCompiler implements RegionCompiler {
	readonly hasCache = false
	readonly made: Made[] = []
	private readonly room: BuildingRoom
	private readonly replies: CompileReply[] = []

	constructor(room: BuildingRoom) {
		this.room = room
	}

	request({ id, snapshot, target }: CompileRequest): void {
		const built = buildRegion(snapshot, target, this.room)
		if (built === undefined) return void this.replies.push({ type: 'region', id, region: undefined })
		this.made.push({ snapshot, built })
		const { body, ...rest } = built
		const module = new WebAssembly.Module(regionModule([body], target.memoryPages) as BufferSource)
		this.replies.push({
			type: 'region',
			id,
			region: { ...rest, module, place: 0, wasmBytes: body.bytes.length, isOptimised: true, isCached: false, time_ms: 0 },
		})
	}

	hotter(): void {}

	improve(): void {}

	cancel(): void {}

	cachedIn(): [] {
		return []
	}

	receive(): CompileReply | undefined {
		return this.replies.shift()
	}
}

function offset(value: number): string {
	return `${value < 0 ? '-' : ''}${Math.abs(value).toString(16).padStart(4, '0')}`
}

function listing({ snapshot, built }: Made, { core, memory, at }: BuildingRoom): string[] {
	const source = new CodeReader(core, memory, at, new SnapshotPages(snapshot, memory, at + READER_BYTES))
	const region = discover(snapshot.entry, source, snapshot.options) as Region
	const blocks = [...region.blocks.values()].filter(({ instructions }) => instructions.length > 0).sort((a, b) => a.start - b.start)
	const pages = `${built.pages.length} page${built.pages.length === 1 ? '' : 's'}`
	return [
		`entry ${offset(region.entry)} of its page, ${region.instructions} instructions in ${blocks.length} blocks, ${pages}; offsets are from the entry's page`,
		...blocks.flatMap((block) => [
			'',
			`${offset(block.start)}:${describeEnd(block)}`,
			...block.instructions.map((one) => describe(one, snapshot)),
		]),
	]
}

function describeEnd({ end }: Block): string {
	if (end.kind === 'goto') return `  then ${offset(end.target)}`
	if (end.kind === 'branch') return `  then ${offset(end.taken)} if condition ${end.cc}, else ${offset(end.next)}`
	return `  then ${end.kind}`
}

/** Offset, bytes, operation and operands as the decoder knows them. */
function describe(instruction: Instruction, snapshot: CodeSnapshot): string {
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
async function textOf(wasm: Uint8Array): Promise<string> {
	const require = createRequire(createRequire(import.meta.url).resolve('assemblyscript/package.json'))
	const { default: binaryen } = await import(pathToFileURL(require.resolve('binaryen')).href)
	const module = binaryen.readBinary(wasm)
	module.setFeatures(binaryen.Features.All)
	return module.emitText()
}

const { values, positionals } = parseArgs({ options: { region: { type: 'string' } }, allowPositionals: true })
const [program, ...args] = positionals
if (program === undefined) {
	console.error('usage: dump_region.ts [--region N] [--] PROGRAM [ARG...]')
	process.exit(2)
}
const core = await loadCore((line) => console.error(line))
const room = buildingRoom(core)
const compiler = new RecordingCompiler(room)
runFlat(core, program, args, LIMIT_MS, { translated: true, compiler })
if (values.region === undefined) {
	for (const [n, { snapshot, built }] of compiler.made.entries()) {
		const bytes = built.code.reduce((sum, range) => sum + range.bytes.length, 0)
		console.log(
			`${n}: entry ${offset(snapshot.entry)}, ${built.instructions} instructions of ${bytes} bytes, ${built.body.bytes.length} bytes of WebAssembly`,
		)
	}
} else {
	const made = compiler.made[Number(values.region)]
	if (made === undefined) {
		console.error(`there is no region ${values.region}: the program has ${compiler.made.length}, from 0`)
		process.exit(1)
	}
	console.log(listing(made, room).join('\n'))
	console.log(`\n${await textOf(regionModule([made.built.body], 1))}`)
}
