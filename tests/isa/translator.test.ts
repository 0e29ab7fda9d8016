// When regions are installed, and when they are not: a processor with a few pages of code, and a compiler that answers when the test says so.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RAX, RBX, RCX, RSP } from '../../src/x86/cpu.ts'
import { MachineMemory } from '../../src/x86/machine_memory.ts'
import { type CompileReply, type CompileRequest, LocalCompiler, type RegionCompiler } from '../../src/x86/translator/compiler.ts'
import { regionModule } from '../../src/x86/translator/core_imports.ts'
import type { BuiltRegion } from '../../src/x86/translator/region_builder.ts'
import { Translator, type TranslatorOptions } from '../../src/x86/translator/translator.ts'
import { loadCore } from './core.ts'

const CODE_VA = 0x40_0000
const CODE_FRAME = 8
const PAGE = 4096
const BUDGET = 1000
/** add $N,%rax; dec %rcx; jnz to the start; ud2. */
const loop = (n: number) => Uint8Array.of(0x48, 0x83, 0xc0, n, 0x48, 0xff, 0xc9, 0x75, 0xf7, 0x0f, 0x0b)

let core: WebAssembly.Module
before(async () => {
	core = await loadCore()
})

class LateCompiler implements RegionCompiler {
	readonly hasCache = false
	readonly requests: CompileRequest[] = []
	readonly hotter = () => {}
	readonly improve = () => {}
	readonly cancel = () => {}
	private readonly local: LocalCompiler
	private readonly arrived: CompileReply[] = []

	constructor(cpu: Cpu) {
		this.local = new LocalCompiler({ core: cpu.regions!, memory: cpu.machine.memory, at: cpu.regions!.regionArena.value >>> 0 })
	}
	request(request: CompileRequest): void {
		this.requests.push(request)
	}
	cachedIn(): [] {
		return []
	}
	receive(): CompileReply | undefined {
		return this.arrived.shift()
	}
	answer(form: { readonly isOptimised?: boolean } = {}): void {
		const { id, snapshot, target } = this.requests.shift()!
		const region = this.local.compile(snapshot, target)
		this.arrived.push({ type: 'region', id, region: region && { ...region, ...form } })
	}
	/** Answers everything with regions of one module. */
	answerTogether(): void {
		const made = this.requests.splice(0).map(({ id, snapshot, target }) => ({ id, built: this.local.build(snapshot, target)! }))
		const module = moduleOf(made.map(({ built }) => built))
		const replies = made.map(({ id, built: { body, ...rest } }, place) => {
			const region = { ...rest, module, place, wasmBytes: body.bytes.length, isOptimised: false, isCached: false, time_ms: 0 }
			return { type: 'region', id, region } as const
		})
		this.arrived.push({ type: 'regions', replies })
	}
	/** Regions that were requested by these names, made anew in one module. */
	replace(requests: readonly CompileRequest[]): void {
		const module = moduleOf(requests.map(({ snapshot, target }) => this.local.build(snapshot, target)!))
		this.arrived.push({ type: 'optimised', ids: requests.map(({ id }) => id), module, time_ms: 0 })
	}
}

function moduleOf(regions: readonly BuiltRegion[]): WebAssembly.Module {
	return new WebAssembly.Module(
		regionModule(
			regions.map(({ body }) => body),
			1,
		) as BufferSource,
	)
}

/** A processor with `pages` pages of code, from CODE_VA on. */
class Machine {
	readonly cpu: Cpu
	readonly compiler: LateCompiler
	readonly translator: Translator
	private readonly machine = new MachineMemory({ ramFrames: 32, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })

	constructor({ pages = 1, ...options }: TranslatorOptions & { readonly pages?: number } = {}) {
		const { machine } = this
		const view = new DataView(machine.memory.buffer)
		const entry = (table: number, index: number, frame: number) =>
			view.setBigUint64(machine.frameAddress(table) + index * 8, BigInt(frame * PAGE + 0x27), true)
		for (const [table, index] of [1, 2, 3].map((level) => [level, level === 3 ? 2 : 0] as const)) entry(table, index, table + 1)
		for (let page = 0; page < pages; page++) entry(4, page, CODE_FRAME + page)
		const host = { readTsc: () => 0, random32: () => 0, protectedWrite: () => false, undefinedInstruction: () => {} }
		this.cpu = Cpu.instantiate(machine, 0, core, host)
		this.cpu.setKernelRoot(1)
		this.cpu.setUserRoot(1)
		this.cpu.setKernelMode(false)
		this.cpu.setField(L.CPU_CODE64, 1)
		this.compiler = new LateCompiler(this.cpu)
		this.translator = new Translator(this.cpu, { compiler: this.compiler, ...options })
	}

	/** As somebody else than the guest does. */
	write(offset: number, bytes: Uint8Array): void {
		this.machine.u8.set(bytes, this.machine.frameAddress(CODE_FRAME) + offset)
		for (let at = offset; at < offset + bytes.length; at++) this.cpu.invalidateFrame(CODE_FRAME + Math.floor(at / PAGE))
	}

	/** Runs the loop at an offset `count` times, with a sample at each spent budget; what it has added to RAX. */
	run(offset: number, count = 10_000): number {
		const { cpu } = this
		cpu.rip = CODE_VA + offset
		cpu.set(RAX, 0)
		cpu.set(RCX, count)
		for (let exit = cpu.run(BUDGET); exit === L.EXIT_BUDGET; exit = cpu.run(BUDGET)) this.translator.sample()
		return cpu.get(RAX)
	}
}

test('hot code is requested once, and runs translated when the answer has come', () => {
	const machine = new Machine()
	machine.write(0, loop(1))
	assert.equal(machine.run(0), 10_000)
	assert.equal(machine.compiler.requests.length, 1)
	assert.equal(machine.translator.statistics.pending, 1)
	machine.compiler.answer()
	assert.equal(machine.run(0), 10_000)
	const { regions, pending, stale } = machine.translator.statistics
	assert.deepEqual({ regions, pending, stale }, { regions: 1, pending: 0, stale: 0 })
	assert.notEqual(machine.cpu.regions!.regionAt(CODE_FRAME * PAGE), 0)
})

test('samples are taken oftener while a busy processor meets new code, and more seldom when what runs is optimised', () => {
	const machine = new Machine()
	const { cpu, compiler, translator } = machine
	machine.write(0, loop(1))
	machine.run(0)
	cpu.rip = CODE_VA
	const pending = translator.sample()
	let met = pending
	// It is busy once it has run for most of a tenth of a second; the host may not let it at first.
	for (let at = 64; met >= pending && at < PAGE / 2; at += 64) {
		for (const end = performance.now() + 150; performance.now() < end; ) machine.run(0)
		machine.write(at, loop(2))
		cpu.rip = CODE_VA + at
		met = translator.sample()
	}
	assert.ok(met < pending)
	compiler.answer({ isOptimised: false })
	cpu.rip = CODE_VA
	translator.sample()
	cpu.rip = CODE_VA
	const improvable = translator.sample()
	machine.write(PAGE >> 1, loop(3))
	while (compiler.requests.length === 0) machine.run(PAGE >> 1)
	compiler.answer({ isOptimised: true })
	for (const offset of [0, PAGE >> 1]) {
		cpu.rip = CODE_VA + offset
		translator.sample()
	}
	cpu.rip = CODE_VA + (PAGE >> 1)
	assert.ok(translator.sample() > improvable)
})

test('a region that comes after its code has changed is not installed', () => {
	const machine = new Machine()
	machine.write(0, loop(1))
	machine.run(0)
	machine.write(0, loop(3))
	machine.compiler.answer()
	assert.equal(machine.run(0), 30_000)
	assert.equal(machine.translator.statistics.stale, 1)
	assert.equal(machine.translator.statistics.regions, 0)
})

test('a region of two pages is not installed when only the further page has changed', () => {
	const machine = new Machine({ pages: 2 })
	const at = PAGE - 4
	machine.write(at, loop(1))
	machine.run(at)
	assert.deepEqual([...machine.compiler.requests[0]!.snapshot.pages.keys()].sort(), [0, 1])
	// jnz becomes jmp to the UD2 behind it.
	machine.write(PAGE + 3, Uint8Array.of(0xeb, 0))
	machine.compiler.answer()
	machine.translator.sample()
	assert.equal(machine.run(at), 1)
	assert.equal(machine.translator.statistics.stale, 1)
})

test('a region whose bytes come back is used again', () => {
	const machine = new Machine()
	machine.write(0, loop(1))
	machine.run(0)
	machine.compiler.answer()
	machine.run(0)
	machine.write(0, loop(2))
	machine.write(0, loop(1))
	assert.equal(machine.run(0), 10_000)
	const { regions, reused } = machine.translator.statistics
	assert.deepEqual({ regions, reused }, { regions: 1, reused: 1 })
})

test('a page that is written again and again is left to the interpreter, and has another try when its code has stayed hot for long', () => {
	const machine = new Machine({ maxDrops: 3 })
	const { compiler, translator } = machine
	let written = 0
	const change = () => {
		machine.write(0, loop(++written & 127))
		for (let runs = 0; runs < 4 && compiler.requests.length === 0; runs++) assert.equal(machine.run(0), 10_000 * (written & 127))
		if (compiler.requests.length === 0) return false
		compiler.answer()
		machine.run(0)
		return true
	}
	const regionsUntilLeftAlone = () => {
		for (let regions = 0; regions <= 20; regions++) if (!change()) return regions
		return assert.fail('it is translated for ever')
	}
	assert.equal(regionsUntilLeftAlone(), 5)
	for (let runs = 0; runs < 100 && compiler.requests.length === 0; runs++) machine.run(0)
	assert.equal(compiler.requests.length, 1)
	compiler.answer()
	assert.equal(machine.run(0), 10_000 * (written & 127))
	assert.notEqual(machine.cpu.regions!.regionAt(CODE_FRAME * PAGE), 0)
	assert.equal(regionsUntilLeftAlone(), 0, 'one more change is one too many')
	assert.equal(translator.statistics.pending, 0)
})

test('regions beyond the limit push out those not seen for longest, and everything still runs', () => {
	const machine = new Machine({ limits: { regions: 2, wasmBytes: 1 << 20 }, pages: 4 })
	for (let page = 0; page < 4; page++) machine.write(page * PAGE, loop(page + 1))
	for (let page = 0; page < 4; page++) {
		machine.run(page * PAGE)
		machine.compiler.answer()
		assert.equal(machine.run(page * PAGE), (page + 1) * 10_000)
	}
	const { regions, evictions } = machine.translator.statistics
	assert.equal(regions, 4)
	assert.ok(evictions >= 2)
	assert.equal(machine.cpu.regions!.regionAt(CODE_FRAME * PAGE), 0)
	assert.notEqual(machine.cpu.regions!.regionAt((CODE_FRAME + 3) * PAGE), 0)
	for (let page = 0; page < 4; page++) assert.equal(machine.run(page * PAGE), (page + 1) * 10_000)
})

test('regions of one module each run with their own data, and one whose code has changed meanwhile is not taken in', () => {
	const machine = new Machine({ pages: 4 })
	const { compiler, translator, cpu } = machine
	const regionAt = (page: number) => cpu.regions!.regionAt((CODE_FRAME + page) * PAGE)
	const requests = [0, 1, 2, 3].map((page) => {
		machine.write(page * PAGE, loop(page + 1))
		machine.run(page * PAGE)
		return compiler.requests[page]!
	})
	machine.write(2 * PAGE, loop(9))
	compiler.answerTogether()
	for (const [page, step] of [1, 2, 9, 4].entries()) assert.equal(machine.run(page * PAGE), step * 10_000)
	const { regions, stale } = translator.statistics
	assert.deepEqual({ regions, stale }, { regions: 3, stale: 1 })
	assert.deepEqual(
		[0, 1, 2, 3].map((page) => regionAt(page) !== 0),
		[true, true, false, true],
	)
	// Each knows its page as its own data say; the third is not there to be replaced.
	compiler.replace([requests[3]!, requests[2]!, requests[0]!])
	for (const [page, step] of [1, 2, 9, 4].entries()) assert.equal(machine.run(page * PAGE), step * 10_000)
	assert.equal(translator.statistics.optimised, 3)
})

test('regions that share a module are given up together', () => {
	const machine = new Machine({ limits: { regions: 4, wasmBytes: 1 << 20 }, pages: 8 })
	for (let page = 0; page < 3; page++) {
		machine.write(page * PAGE, loop(page + 1))
		machine.run(page * PAGE)
	}
	machine.compiler.answerTogether()
	for (let page = 0; page < 3; page++) machine.run(page * PAGE)
	for (let page = 3; page < 5; page++) {
		machine.write(page * PAGE, loop(page + 1))
		machine.run(page * PAGE)
		machine.compiler.answer()
		machine.run(page * PAGE)
	}
	assert.equal(machine.translator.statistics.evictions, 3)
	for (let page = 0; page < 5; page++) assert.equal(machine.run(page * PAGE), (page + 1) * 10_000)
})

test('a region whose near accesses are again and again not in one page is made anew, to look each up for itself', () => {
	const machine = new Machine({ pages: 3 })
	const { cpu, compiler } = machine
	// inc rax; push rax; push rcx; pop rcx; pop rdx; ret, and 1: call rbx; dec ecx; jnz 1b; ud2
	machine.write(0, Uint8Array.of(0x48, 0xff, 0xc0, 0x50, 0x51, 0x59, 0x5a, 0xc3))
	machine.write(0x100, Uint8Array.of(0xff, 0xd3, 0xff, 0xc9, 0x75, 0xfa, 0x0f, 0x0b))
	const run = (stack: number) => {
		cpu.set(RBX, CODE_VA)
		cpu.set(RSP, CODE_VA + stack)
		const before = cpu.field(L.CNT_SPANS_REFUSED)
		assert.equal(machine.run(0x100, 20_000), 20_000)
		while (compiler.requests.length > 0) compiler.answer()
		return cpu.field(L.CNT_SPANS_REFUSED) - before
	}
	run(1.5 * PAGE)
	assert.equal(run(1.5 * PAGE), 0)
	assert.ok(run(2 * PAGE + 8) > 0)
	run(2 * PAGE + 8)
	run(2 * PAGE + 8)
	assert.equal(run(2 * PAGE + 8), 0)
	assert.notEqual(cpu.regions!.regionAt(CODE_FRAME * PAGE), 0)
})

test('a region larger than all room is not taken in', () => {
	const machine = new Machine({ limits: { regions: 2, wasmBytes: 10 } })
	machine.write(0, loop(1))
	machine.run(0)
	machine.compiler.answer()
	assert.equal(machine.run(0), 10_000)
	assert.equal(machine.translator.statistics.regions, 0)
})

test('a budget that is spent ends a run where control goes back, not behind a jump forward', () => {
	const machine = new Machine()
	// inc %rax; jmp forward; ud2; dec %rcx; jnz to the start; ud2
	machine.write(0, Uint8Array.of(0x48, 0xff, 0xc0, 0xeb, 2, 0x0f, 0x0b, 0x48, 0xff, 0xc9, 0x75, 0xf4, 0x0f, 0x0b))
	const { cpu } = machine
	cpu.rip = CODE_VA
	cpu.set(RCX, 100)
	for (let budget = 1; budget < 12; budget++) {
		assert.equal(cpu.run(budget), L.EXIT_BUDGET)
		assert.equal(cpu.rip, CODE_VA)
	}
	assert.equal(cpu.step(), L.EXIT_BUDGET)
	assert.equal(cpu.rip, CODE_VA + 3)
	assert.equal(cpu.step(), L.EXIT_BUDGET)
	assert.equal(cpu.rip, CODE_VA + 7)
})

test('a run ends in a chain of jumps forward too', () => {
	const machine = new Machine({ pages: 4 })
	const jumps = new Uint8Array(3 * PAGE)
	for (let at = 0; at < jumps.length; at += 2) jumps.set([0xeb, 0], at)
	machine.write(0, jumps)
	const { cpu } = machine
	cpu.rip = CODE_VA
	assert.equal(cpu.run(1), L.EXIT_BUDGET)
	assert.ok(cpu.rip < CODE_VA + jumps.length)
})
