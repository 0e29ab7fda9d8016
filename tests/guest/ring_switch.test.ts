/** Ring switches that the processor makes by itself, interpreting and in translated code, against those that the hypervisor makes for it: the same case in three domains, all state compared. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as X from '../../src/abi/xen.ts'
import * as L from '../../src/x86/core/layout.ts'
import { REGION_ENDS, readCounters } from '../../src/x86/counters.ts'
import { Cpu, R11, RAX, RBX, RCX, RDI, RSI, RSP } from '../../src/x86/cpu.ts'
import { PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { Translator } from '../../src/x86/translator/translator.ts'
import { handleException, handleSyscall } from '../../src/xen/exceptions.ts'
import { hypercallCount } from '../../src/xen/hypercall_table.ts'
import { deliverPending, TRAP_invalid_op } from '../../src/xen/inject.ts'
import { HOLD_ALL, holdSwitches } from '../../src/xen/ring_switch.ts'
import { testDomain } from '../../src/xen/testing.ts'
import { DomainCrashed, VcpuContext } from '../../src/xen/vcpu.ts'
import { cpuHost } from '../../src/xen/vcpu_start.ts'
import { loadCore } from '../isa/core.ts'
import { Random } from '../isa/random.ts'

const CASES = Number(process.env.XENOTYPE_FUZZ_CASES ?? 6000)
const SEED = Number(process.env.XENOTYPE_FUZZ_SEED ?? 1)

// Linear addresses: a page each, from BASE.
const BASE = 0x20_0000
const CODE = BASE
const HANDLERS = BASE + PAGE_SIZE
const STACK = BASE + 2 * PAGE_SIZE
const STACK_2 = BASE + 3 * PAGE_SIZE
const READ_ONLY = BASE + 4 * PAGE_SIZE
const WRITABLE_CODE = BASE + 5 * PAGE_SIZE
const PAGE_TABLE = BASE + 6 * PAGE_SIZE
const ABSENT = BASE + 7 * PAGE_SIZE
const NON_CANONICAL = 2 ** 47

// Frames: BASE's pages from 1, then tables and the guest's GDT.
const FRAMES = 32
const [K4, K3, K2, K1, U4, U3, U2, U1, GDT] = [16, 17, 18, 19, 20, 21, 22, 23, 24] as const
const RO = 5
const RW = 7

// Instructions in CODE.
const SYSCALL = CODE
const LOAD = CODE + 16
const STORE = CODE + 32
const DIVIDE = CODE + 48
const BREAKPOINT = CODE + 64
const CODE_BYTES: readonly (readonly [at: number, bytes: readonly number[]])[] = [
	[SYSCALL, [0x0f, 0x05]],
	[LOAD, [0x48, 0x8b, 0x03]], // mov rax, [rbx]
	[STORE, [0x48, 0x89, 0x03]], // mov [rbx], rax
	[DIVIDE, [0x31, 0xc9, 0x48, 0xf7, 0xf1]], // xor ecx, ecx; div rcx
	[BREAKPOINT, [0xcc]],
]
const HLT = 0xf4
/** Where system calls enter the kernel. */
const ENTRY = HANDLERS + 7

/** A domain that waits for cases. `byUs`: the processor makes no ring switch itself. */
class Subject {
	readonly vcpu: VcpuContext
	private readonly domain = testDomain({ maxFrames: FRAMES })
	private countsBefore: readonly number[] = []

	constructor(core: WebAssembly.Module, byUs: boolean) {
		const { domain } = this
		let vcpu: VcpuContext | undefined
		const host = cpuHost(() => vcpu as VcpuContext)
		const cpu = Cpu.instantiate(domain.machine, 0, core, { ...host, undefinedInstruction() {} })
		const clock = { monotonic_ns: () => 0, wall: () => ({ seconds: 0, nanoseconds: 0 }) }
		vcpu = new VcpuContext(domain, 0, cpu, clock, { log() {}, emergencyConsole() {}, random32: () => 0, report() {}, shutdown() {} })
		this.vcpu = vcpu
		if (byUs) holdSwitches(domain.machine, 0, HOLD_ALL, true)
		domain.machine.framePage(1).fill(HLT)
		for (const [at, bytes] of CODE_BYTES) domain.machine.framePage(1).set(bytes, at - CODE)
		domain.machine.framePage(2).fill(HLT)
		domain.machine.framePage(6).fill(HLT)
		this.makeTables()
		this.makeGdt()
	}

	/** Has what cases begin with translated, and where system calls and the returns that are made most often go to. */
	translate(): void {
		const { cpu } = this.vcpu
		const translator = new Translator(cpu)
		cpu.setKernelRoot(K4)
		cpu.setKernelMode(true)
		cpu.setField(L.CPU_CODE64, 1)
		for (const rip of [...CODE_BYTES.map(([at]) => at), ENTRY, ...Array.from({ length: 128 }, (_, n) => HANDLERS + 128 + n)]) {
			cpu.rip = rip
			assert.ok(translator.translateHere(), `${rip.toString(16)}`)
		}
	}

	/** How often a region went on in another. */
	get wentOn(): number {
		return readCounters(this.domain.machine, 0).regionEnds[REGION_ENDS.indexOf('another region')]!
	}

	private makeTables(): void {
		const { machine } = this.domain
		const entry = (table: number, index: number, mfn: number, flags: number) => {
			machine.u32[machine.frameAddress(table) / 4 + index * 2] = mfn * PAGE_SIZE + flags
		}
		for (const [l4, l3, l2, l1] of [
			[K4, K3, K2, K1],
			[U4, U3, U2, U1],
		] as const) {
			entry(l4, 0, l3, RW)
			entry(l3, 0, l2, RW)
			entry(l2, 1, l1, RW)
		}
		const rights = [RO, RO, RW, RW, RO, RW]
		for (const [n, right] of rights.entries()) entry(K1, n, n + 1, right)
		// The L1 itself: its frame carries FRAME_HOOK, and the mapping is read-only as it must be.
		entry(K1, 6, K1, RO)
		machine.u8[machine.attributeAddress(K1)] = L.FRAME_HOOK
		entry(U1, 0, 1, RO)
		entry(U1, 1, 2, RO)
		entry(U1, 3, 9, RW)
	}

	/** 0x23, 0x2b, 0x33 as Linux has them; 0x3b is not present. */
	private makeGdt(): void {
		const { machine } = this.domain
		const at = machine.frameAddress(GDT) / 4
		const descriptors = [
			[4, 0x00cf_fa00],
			[5, 0x00cf_f200],
			[6, 0x00af_fa00],
			[7, 0x00af_7a00],
		] as const
		for (const [index, high] of descriptors) {
			machine.u32[at + index * 2] = 0xffff
			machine.u32[at + index * 2 + 1] = high
		}
		this.vcpu.cpu.setField(L.CPU_GDT_FRAMES, machine.frameAddress(GDT))
	}

	/** Until the guest halts, faults without end or crashes. Returns how it ended. */
	run(): string {
		const { vcpu } = this
		try {
			for (let turns = 0; turns < 8; turns++) {
				deliverPending(vcpu)
				const exit = vcpu.cpu.run(1000)
				if (exit === L.EXIT_SYSCALL) handleSyscall(vcpu)
				else if (exit === L.EXIT_EXCEPTION && vcpu.cpu.field(L.CPU_EXC_VECTOR) !== TRAP_invalid_op) handleException(vcpu)
				else if (exit !== L.EXIT_BUDGET) return `exit ${exit}`
			}
			return 'no end'
		} catch (error) {
			if (!(error instanceof DomainCrashed)) throw error
			return error.message
		}
	}

	/** All that a case may change, and that both ways must leave alike. */
	state(): Record<string, unknown> {
		const { machine } = this.domain
		const { cpu, traps } = this.vcpu
		const at = cpu.state >>> 3
		return {
			registers: Array.from(machine.u64.slice(at, at + 0x140 / 8), (value) => value.toString(16)),
			cr0: cpu.field(L.CPU_CR0),
			stack: [traps.kernelSs, machine.u64[(cpu.state + L.SWITCH_KERNEL_SP) >>> 3]],
			memory: Buffer.from(machine.u8.buffer as ArrayBuffer, machine.frameBase, (FRAMES + 1) * PAGE_SIZE).toString('latin1'),
			attributes: Array.from(
				machine.u8.slice(machine.attributeAddress(0), machine.attributeAddress(FRAMES)),
				(bits) => bits & ~L.FRAME_CODE,
			),
			counts: this.counts.map((count, n) => count - this.countsBefore[n]!),
		}
	}

	/** Of what a table maps. */
	private setAccessedDirty(table: number, set: boolean): void {
		const { machine } = this.domain
		const entries = machine.u32.subarray(machine.frameAddress(table) / 4, machine.frameAddress(table + 1) / 4)
		for (let n = 0; n < entries.length; n += 2) if (entries[n]! & 1) entries[n] = set ? entries[n]! | 0x60 : entries[n]! & ~0x60
	}

	/** Hypercalls of those that the processor may serve. */
	private get counts(): number[] {
		return [3, 5, 23, 25].map((number) => hypercallCount(this.domain, number))
	}

	/** Sets up case `seed`; `again`, right after it has run, with what the processor remembers of its mappings and jumps. */
	prepare(seed: number, again = false): void {
		const random = new Random(seed)
		const { vcpu, domain } = this
		const { cpu } = vcpu
		const { machine } = domain
		for (const mfn of [3, 4, 5, 9]) machine.framePage(mfn).fill(0)
		machine.framePage(6).fill(HLT)
		cpu.invalidateFrame(6)
		this.countsBefore = this.counts
		const userRoot = random.mostly(U4, 0, U4)
		if (!again) {
			for (const table of [K1, U1]) this.setAccessedDirty(table, isTouched(seed))
			cpu.flushTlb()
			cpu.setKernelRoot(K4)
			cpu.setUserRoot(userRoot)
		}
		const address = () =>
			random.pick([
				STACK,
				STACK_2,
				READ_ONLY,
				WRITABLE_CODE,
				PAGE_TABLE,
				ABSENT,
				X.HYPERVISOR_VIRT_START,
				X.HYPERVISOR_VIRT_END,
				NON_CANONICAL,
			]) + random.pick([0, 8, 64, 120, 2048, 4040, 4088, -8, -64])
		const stack = () => random.mostly(STACK + 2048 + random.below(32), address())
		const rip = () =>
			random.mostly(HANDLERS + random.below(256), CODE + random.below(80), ABSENT, NON_CANONICAL, WRITABLE_CODE + random.below(64))
		const flags = () =>
			random.pick([0x202, 0x246, 0x893, 0x0d7, 0x6d7]) | random.mostly(0, 0x40000, 0x4000, 0x10000, 0x20_0000, 0x3000, 0x20000, 0x100)

		const kernel = random.below(2) === 0
		cpu.setKernelMode(kernel)
		for (let register = 0; register < 16; register++) cpu.set(register, random.below(2 ** 32) * random.pick([1, -1, 65536]))
		cpu.rflags = (flags() & ~0x2_3000) | 0x202
		cpu.setField(L.CPU_CR0, 0x8005_0033)
		const { u16, u8 } = machine
		u16[(cpu.state + L.CPU_SELECTORS + 2) >>> 1] = kernel ? 0xe033 : random.pick([0x33, 0xe033])
		u16[(cpu.state + L.CPU_SELECTORS + 4) >>> 1] = kernel ? 0xe02b : random.pick([0x2b, 0xe02b])
		cpu.setField(L.CPU_CODE64, 1)
		cpu.setWide(L.SLOT_GS_BASE, address())
		cpu.setWide(L.CPU_KERNEL_GS_BASE, address())
		cpu.set(RSP, stack())
		cpu.set(RBX, address())
		cpu.rip = random.mostly(SYSCALL, LOAD, STORE, DIVIDE, BREAKPOINT, ABSENT, NON_CANONICAL)

		vcpu.traps.kernelSp = stack()
		vcpu.traps.kernelSs = 0xe02b
		vcpu.traps.nmiMasked = random.below(16) === 0
		vcpu.traps.syscall = { address: random.mostly(ENTRY, 0, ABSENT), masksEvents: random.below(2) === 0 }
		vcpu.traps.event = { address: HANDLERS + 1024, masksEvents: false }
		for (const vector of [0, 3, 6, 12, 13, 14]) {
			vcpu.traps.setGate(vector, random.pick([0, 4, 7]), 0xe033, random.mostly(HANDLERS + 2048 + vector, 0))
		}
		u8[vcpu.vcpuInfo + X.vcpu_info.at.evtchn_upcall_mask] = random.pick([0, 1, 1])
		u8[vcpu.vcpuInfo + X.vcpu_info.at.evtchn_upcall_pending] = random.mostly(0, 1)

		if (!kernel) return
		cpu.set(RAX, random.pick([X.__HYPERVISOR_iret, X.__HYPERVISOR_iret, X.__HYPERVISOR_iret, 3, 5, 25, 63, 2 ** 32 + 23]))
		cpu.set(RDI, random.pick([0, 1, 2, 3, 0xe02b]))
		cpu.set(RSI, random.mostly(address(), 0x2b))
		this.putFrame(cpu.get(RSP), [
			0x1111,
			0x2222,
			0x3333,
			random.pick([0, 0x100, 0x100, 2]),
			rip(),
			random.pick([0xe033, 0xe030, 0xe033, 0x33, 0x33, 0x30, 0x23, 0xe023, 0x3b, 0, 0x37, 0xe008]) + random.pick([0, 0, 2 ** 32]),
			flags(),
			stack(),
			random.pick([0xe02b, 0xe02b, 0x2b, 0x2b, 0x28, 0, 0x2f, 0x33, 0xe010]),
		])
	}

	/** Where it is mapped. */
	private putFrame(va: number, words: readonly number[]): void {
		const { cpu } = this.vcpu
		for (const [n, word] of words.entries()) {
			const at = va + n * 8
			if (at < STACK || at >= WRITABLE_CODE || at % 8 !== 0) continue
			const host = cpu.machine.frameAddress(Math.floor((at - BASE) / PAGE_SIZE) + 1) + (at % PAGE_SIZE)
			cpu.machine.u64[host / 8] = BigInt.asUintN(64, BigInt(word))
		}
	}
}

/** Cases that find the mapped pages' accessed and dirty bits set. */
const isTouched = (seed: number) => seed % 2 === 0

const core = await loadCore()

test(`a ring switch of the processor's leaves what one of the hypervisor's leaves (seed ${SEED}, ${CASES} cases)`, (t) => {
	const byProcessor = new Subject(core, false)
	const byUs = new Subject(core, true)
	const byRegions = new Subject(core, false)
	byRegions.translate()
	const ends = new Map<string, number>()
	for (let n = 0; n < CASES; n++) {
		const seed = SEED * 1_000_003 + n * 7919
		byProcessor.prepare(seed)
		byUs.prepare(seed)
		byRegions.prepare(seed)
		const end = byUs.run()
		const ours = byUs.state()
		ends.set(end.replace(/[0-9a-f]{16}/, ''), (ends.get(end.replace(/[0-9a-f]{16}/, '')) ?? 0) + 1)
		assert.equal(byProcessor.run(), end, `seed ${seed}`)
		assert.deepEqual(byProcessor.state(), ours, `seed ${seed}`)
		assert.equal(byRegions.run(), end, `seed ${seed}, translated`)
		assert.deepEqual(byRegions.state(), ours, `seed ${seed}, translated`)
		if (!isTouched(seed)) continue
		// Regions go on in one another now; pages that are still in the TLB are not marked once more.
		byRegions.prepare(seed, true)
		assert.equal(byRegions.run(), end, `seed ${seed}, translated, again`)
		assert.deepEqual(byRegions.state(), ours, `seed ${seed}, translated, again`)
	}
	assert.ok(byRegions.wentOn > CASES / 10, `${byRegions.wentOn} switches between regions`)
	t.diagnostic(JSON.stringify(Object.fromEntries(ends)))
})

test('system calls, exceptions and returns are made without leaving run()', () => {
	const { vcpu } = new Subject(core, false)
	const { cpu, traps } = vcpu
	traps.syscall = { address: HANDLERS, masksEvents: true }
	traps.kernelSp = STACK + 2048
	traps.setGate(14, 0, 0xe033, HANDLERS + 64)
	const start = (rip: number) => {
		cpu.setKernelRoot(K4)
		cpu.setUserRoot(U4)
		cpu.setKernelMode(false)
		cpu.setField(L.CPU_CODE64, 1)
		cpu.rflags = 0x202
		cpu.rip = rip
	}
	start(SYSCALL)
	assert.equal(cpu.run(1000), L.EXIT_PRIVILEGED)
	assert.deepEqual(
		[cpu.rip, vcpu.kernelMode, cpu.get(RSP), cpu.get(RCX), cpu.get(R11)],
		[HANDLERS, true, STACK + 2048 - 56, SYSCALL + 2, 0x202],
	)
	start(LOAD)
	cpu.set(RBX, ABSENT)
	assert.equal(cpu.run(1000), L.EXIT_PRIVILEGED)
	assert.deepEqual([cpu.rip, vcpu.kernelMode, cpu.get(RSP)], [HANDLERS + 64, true, STACK + 2048 - 64])
})

test('faults without end leave run() when its budget is spent', () => {
	const { vcpu } = new Subject(core, false)
	const { cpu, traps } = vcpu
	traps.setGate(14, 0, 0xe033, ABSENT)
	cpu.setKernelRoot(K4)
	cpu.setKernelMode(true)
	cpu.setField(L.CPU_CODE64, 1)
	cpu.rflags = 0x202
	cpu.set(RSP, STACK_2 + 4080)
	cpu.rip = ABSENT
	assert.equal(cpu.run(200), L.EXIT_EXCEPTION)
	assert.ok(cpu.get(RSP) < STACK_2 + 4080 - 64, 'several frames have been pushed')
	assert.ok(cpu.get(RSP) > STACK_2, 'and not without end')
})
