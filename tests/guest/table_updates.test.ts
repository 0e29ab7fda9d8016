/** Page table entries that the processor writes by itself, against those that the hypervisor writes for it: the same case in two domains, all state compared. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as X from '../../src/abi/xen.ts'
import { loadCore } from '../../src/platform/node/load_core.ts'
import * as L from '../../src/x86/core/layout.ts'
import { R10, RAX, RBX, RDI, RDX, RSI } from '../../src/x86/cpu.ts'
import { handleSyscall } from '../../src/xen/exceptions.ts'
import { checkMemory } from '../../src/xen/mm/mm_check.ts'
import { DIRECT_MAP, Fixture, READ_ONLY, READ_WRITE, TABLE } from '../../src/xen/mm/mm_fixture.ts'
import { TYPE_L1 } from '../../src/xen/mm/page_info.ts'
import { Random } from '../isa/random.ts'

const CASES = Number(process.env.XENOTYPE_FUZZ_CASES ?? 12_000)
const SEED = Number(process.env.XENOTYPE_FUZZ_SEED ?? 1)
/** Cases after which the domains are made anew: the guest wrecks its tables in the long run. */
const RENEWED = 200
const [FRAMES, INITIAL] = [64, 48] as const
/** Of the frames, those that the processor fetches from and reads requests in. */
const [CODE, ARGS] = [2, 3] as const
/** Frames that become L1 tables, mapped below the direct map's and in the lower half. */
const TABLES = [8, 9, 10, 11] as const
const L2_LOW = 12
const L3_LOW = 13
/** In CODE. */
const [SYSCALL, STORE, STORE_4] = [0, 16, 32] as const
const NX = 0x8000_0000
const GUEST_KERNEL = 0x0010_0000

const core = await loadCore()
/** The first address that TABLES[0] maps. */
const MAPPED = DIRECT_MAP + 100 * 2 ** 21
const va = (mfn: number) => DIRECT_MAP + mfn * 4096

type Registers = Readonly<Record<number, number | readonly [lo: number, hi: number]>>

class Subject extends Fixture {
	/** Updates that the hypervisor has served. */
	served = 0

	constructor(byUs: boolean) {
		super(FRAMES, INITIAL, true, core)
		const { cpu, domain } = this.vcpu
		cpu.setField(L.CPU_CODE64, 1)
		cpu.machine.u16.set([0xe02b, 0xe033, 0xe02b, 0, 0, 0], (cpu.state + L.CPU_SELECTORS) >>> 1)
		domain.machine.framePage(CODE).set([0x0f, 0x05, 0xcc], SYSCALL)
		domain.machine.framePage(CODE).set([0x48, 0x89, 0x03, 0xcc], STORE) // mov [rbx], rax
		domain.machine.framePage(CODE).set([0x89, 0x03, 0xcc], STORE_4) // mov [rbx], eax
		cpu.setField(L.BOOKS, 0)
		for (const mfn of [...TABLES, L2_LOW, L3_LOW]) this.update(this.l1, mfn, mfn, READ_ONLY)
		this.update(this.l2, 100, TABLES[0], TABLE)
		this.update(this.l2, 101, TABLES[1], TABLE)
		this.update(this.l4, 0, L3_LOW, TABLE)
		this.update(L3_LOW, 0, L2_LOW, TABLE)
		this.update(L2_LOW, 0, TABLES[2], TABLE)
		if (!byUs) cpu.setField(L.BOOKS, domain.at(domain.layout.pageInfo))
	}

	private update(table: number, index: number, mfn: number, flags: number): void {
		const rc = this.mmuUpdate([table * 4096 + index * 8, mfn * 4096 + flags, 0])
		if (rc !== 0) throw new Error(`entry ${index} of frame ${table}: ${rc}`)
	}

	mmuUpdate([pointer, lo, hi]: readonly number[], count = 1, owner: number = X.DOMID_SELF, done = 0, offset = 0): number {
		const { domain } = this.vcpu
		const bytes = new Uint8Array(Uint32Array.of(pointer as number, 0, lo as number, hi as number).buffer)
		domain.machine.u8.set(bytes, domain.machine.frameAddress(ARGS) + offset)
		return this.hypercall(X.__HYPERVISOR_mmu_update, { [RDI]: va(ARGS) + offset, [RSI]: count, [RDX]: done, [R10]: owner })
	}

	hypercall(number: number, registers: Registers): number {
		this.execute(SYSCALL, { ...registers, [RAX]: number })
		return this.vcpu.cpu.get(RAX)
	}

	/** Runs from an offset of CODE on; the vector that ended it. */
	execute(offset: number, registers: Registers): number {
		const { cpu } = this.vcpu
		for (const [register, value] of Object.entries(registers)) {
			if (typeof value === 'number') cpu.set(Number(register), value)
			else cpu.setHalves(Number(register), value[0], value[1])
		}
		cpu.rip = va(CODE) + offset
		cpu.rflags = 0x202
		for (let turn = 0; turn < 8; turn++) {
			const exit = cpu.run(1000)
			if (exit === L.EXIT_EXCEPTION) return cpu.field(L.CPU_EXC_VECTOR)
			if (exit !== L.EXIT_SYSCALL) continue
			this.served++
			handleSyscall(this.vcpu)
		}
		throw new Error('the guest runs on')
	}

	/** All that a guest or the hypervisor can see. */
	state(): { registers: Buffer; memory: Buffer } {
		const { machine } = this.vcpu.domain
		const { cpu } = this.vcpu
		const from = machine.frameAttributes
		const end = machine.frameAddress(machine.frames - 1) + 4096
		return {
			registers: Buffer.from(machine.memory.buffer, cpu.state, L.CPU_SELECTORS),
			memory: Buffer.from(machine.memory.buffer, from, end - from),
		}
	}
}

/** Entries of tables other than those through which the processor fetches, and reads requests. */
function someEntry(random: Random, { l1, l2 }: Subject): number {
	const table = random.mostly(random.pick(TABLES), l1, l2, 20, L2_LOW, FRAMES, 50)
	const index =
		table === l1
			? 14 + random.below(26)
			: table === l2
				? 100 + random.below(3)
				: table === L2_LOW
					? random.below(3)
					: random.pick([0, 1, 2, 3, 511])
	return table * 4096 + index * 8
}

function someValue(random: Random): [lo: number, hi: number] {
	const mfn = random.mostly(14 + random.below(30), random.pick(TABLES), ARGS, 47, 50, 70, 0xfffff)
	const flags = random.mostly(random.pick([READ_WRITE, READ_WRITE | 0x60, READ_ONLY, 0, 3, 1, 0x20]), 0x107, 0x17, 0x0f, 0x87, 0xe07, 0x40)
	return [(mfn * 4096 + flags) >>> 0, random.mostly(0, NX, GUEST_KERNEL, NX + GUEST_KERNEL, 1, 0x7ff0_0000)]
}

test(`${CASES} updates by the processor leave what the hypervisor would`, () => {
	const random = new Random(SEED)
	let subjects = [new Subject(true), new Subject(false)] as const
	let inCore = 0
	for (let n = 0; n < CASES; n++) {
		if (n % RENEWED === 1) subjects = [new Subject(true), new Subject(false)]
		const before = subjects[1].served
		const kind = random.below(12)
		const entry = someEntry(random, subjects[0])
		const [lo, hi] = someValue(random)
		const options = [
			random.mostly(1, 0, 2),
			random.mostly(X.DOMID_SELF, 7, 0, X.DOMID_IO),
			random.mostly(0, va(ARGS) + 64),
			random.mostly(0, 8, 4088, 1),
		] as const
		const command = random.mostly(random.pick([0, 2, 3]), 1, 4)
		const address = random.mostly(random.pick([MAPPED, MAPPED + 4096, MAPPED + 2 ** 21, 4096, 8192]), va(20), 2 ** 40, -(2 ** 47), 2 ** 47)
		const flags = random.mostly(random.pick([0, X.UVMF_INVLPG, X.UVMF_INVLPG | X.UVMF_ALL]), X.UVMF_TLB_FLUSH, X.UVMF_ALL, va(ARGS) + 2)
		const table = random.mostly(random.pick(TABLES), subjects[0].l2, L2_LOW, 20)
		const index = random.pick([0, 1, 2, 3, 511])
		const frame = 14 + random.below(30)
		const outcomes = subjects.map((subject) => {
			const { types } = subject
			if (kind < 5) return subject.mmuUpdate([entry + command, lo, hi], ...options)
			if (kind < 7) return subject.hypercall(X.__HYPERVISOR_update_va_mapping, { [RDI]: address, [RSI]: [lo, hi], [RDX]: flags })
			if (kind < 9) return subject.execute(STORE, { [RBX]: va(table) + index * 8 + (kind === 8 && (n & 7) === 0 ? 4 : 0), [RAX]: [lo, hi] })
			if (kind === 9) return subject.execute(STORE_4, { [RBX]: va(table) + index * 8 + (n & 4), [RAX]: lo })
			if ((n & 3) === 0) {
				// A frame that goes with its last mapping, or comes back.
				if (types.flags(frame) !== 0) types.dropAllocation(frame)
				else types.allocate(0, frame, FRAMES)
				types.settle()
			} else if ((n & 3) === 1) {
				const rc = types.getPageAndType(frame, TYPE_L1)
				if (rc === 0) types.putPageAndType(frame)
				return rc
			} else subject.vcpu.mm.flushTlb()
			return 0
		})
		const [a, b] = subjects.map((subject) => subject.state())
		assert.equal(outcomes[1], outcomes[0], `case ${n}`)
		assert.ok(a?.registers.equals(b?.registers as Buffer), `registers after case ${n}, kind ${kind}`)
		const difference = a?.memory.equals(b?.memory as Buffer) ? -1 : a?.memory.findIndex((byte, at) => byte !== b?.memory[at])
		assert.equal(difference, -1, `memory after case ${n}, kind ${kind}`)
		if (kind < 7 && subjects[1].served === before) inCore++
		if (n % RENEWED === 0) for (const { vcpu } of subjects) assert.deepEqual(checkMemory([vcpu]), [])
	}
	assert.ok(inCore > CASES / 20, `${inCore} hypercalls were served by the processor`)
})
