// Accesses that a region looks up together (src/x86/translator/spans.ts), and pages that its loops know by their operands (pages.ts), where they lie across two pages, or in one that may not be read or written in place: what the
// interpreter makes of the same code is what must come of it.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as L from '../../src/x86/core/layout.ts'
import { Cpu, RAX, RCX, RDI, RSI, RSP } from '../../src/x86/cpu.ts'
import { MachineMemory, PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import { Translator } from '../../src/x86/translator/translator.ts'
import { loadCore } from './core.ts'

const CODE = 0x40_0000
const DATA = 0x50_0000
const TABLE = 0x60_0000
const CODE_FRAME = 20
/** Of the two pages at DATA, and of one that the host maps instead of the first. */
const FRAMES = [24, 27] as const
const OTHER_FRAME = 29
const TABLE_FRAME = 30
const READABLE = 5
/** Of the last slot of a data TLB of 2048. */
const LAST_SLOTS_PAGE = 0x7f_f000
const WRITABLE = 7
const BREAKPOINT = 3
const GENERAL_PROTECTION = 13
const PAGE_FAULT = 14
/** The last page that is canonical. */
const LAST_PAGE = 2 ** 47 - PAGE_SIZE

// mov rax,[rdi]; mov rcx,[rdi+8]; mov rdx,[rdi+16]; mov [rdi+24],rax; add [rdi+32],rcx; movups xmm0,[rdi+8]; movups [rdi+40],xmm0; inc dword ptr [rdi+4];
// cmp byte ptr [rdi+7],0; mov rbx,[rdi+40]; lock add [rdi+16],ecx; int3
const FIELDS = '488b07488b4f08488b57104889471848014f200f1047080f114728ff4704807f0700488b5f28f0014f10cc'
// push rax; push rcx; push rdi; call 1f; pop rdi; pop rdx; pop rbx; int3; 1: sub rsp,24; mov [rsp+8],rdi; mov rsi,[rsp+8]; add rsp,24; ret
const STACK = '505157e8040000005f5a5bcc4883ec1848897c2408488b7424084883c418c3'
// mov rax,[rdi]; test al,1; jz 1f; mov rcx,[rdi+8]; jmp 2f; 1: mov [rdi+16],rdi; 2: mov rdx,[rdi+24]; mov [rdi+32],rdx; mov rbx,[rdi+16]; int3
const BRANCHES = '488b07a8017406488b4f08eb0448897f10488b571848895720488b5f10cc'
// mov rax,[rdi]; movaps xmm1,[rdi+16]; movaps [rdi+32],xmm1; mov rcx,[rdi+8]; int3
const ALIGNED = '488b070f284f100f294f20488b4f08cc'
// mov rax,[rdi]; mov [rdi+16],rax; mov ecx,3; 1: mov rdx,[rdi+8]; push rdx; add [rdi+16],rdx; pop rbx; mov [rdi+24],rcx; dec ecx; jnz 1b; mov rbx,[rdi+16];
// mov [rdi+32],rbx; int3
const LOOP = '488b0748894710b903000000488b570852480157105b48894f18ffc975ee488b5f1048895f20cc'
const PROGRAMS = { FIELDS, STACK, BRANCHES, ALIGNED, LOOP }

let core: WebAssembly.Module
before(async () => {
	core = await loadCore()
})

type Kind = 'writable' | 'read-only' | 'absent' | 'hooked' | 'refused'
const KINDS: readonly Kind[] = ['writable', 'read-only', 'absent', 'hooked', 'refused']

class Guest {
	/** What the host was asked to write. */
	readonly writes: string[] = []
	/** What else the host does then. */
	onWrite: () => void = () => {}
	refuses = false
	readonly machine = new MachineMemory({ ramFrames: 40, hypervisorFrames: 0, vcpus: 1, hypervisorBytes: 0 })
	readonly cpu = Cpu.instantiate(this.machine, 0, core, {
		readTsc: () => 0,
		random32: () => 0,
		protectedWrite: (maddr, size, lo, hi) => this.hostWrite(maddr, size, lo, hi),
		undefinedInstruction: () => undefined,
	})
	readonly translator = new Translator(this.cpu)
	private readonly view = new DataView(this.machine.memory.buffer)
	private nextFrame = 2

	constructor(hex: string) {
		const { cpu } = this
		this.map(CODE, CODE_FRAME)
		for (const [n, frame] of [...FRAMES, OTHER_FRAME].entries())
			this.machine.framePage(frame).set(Uint8Array.from({ length: PAGE_SIZE }, (_, at) => at * 7 + n * 31 + (at >> 8)))
		this.machine.framePage(CODE_FRAME).set(Buffer.from(hex, 'hex'))
		cpu.invalidateFrame(CODE_FRAME)
		cpu.setKernelRoot(1)
		cpu.setUserRoot(1)
		cpu.setKernelMode(false)
		cpu.setField(L.CPU_CODE64, 1)
		cpu.rflags = 0x202
		cpu.rip = CODE
	}

	/** With the rights of `flags` in the entry; of 0, not at all. */
	map(va: number, frame: number, flags = WRITABLE): void {
		let table = 1
		for (const shift of [39, 30, 21]) {
			const entry = this.machine.frameAddress(table) + (Math.floor(va / 2 ** shift) % 512) * 8
			if (this.view.getUint32(entry, true) === 0) this.view.setUint32(entry, (this.nextFrame++ << 12) | WRITABLE, true)
			table = this.view.getUint32(entry, true) >>> 12
		}
		const entry = this.machine.frameAddress(table) + (Math.floor(va / PAGE_SIZE) % 512) * 8
		this.view.setUint32(entry, flags === 0 ? 0 : (frame << 12) | flags, true)
		this.cpu.flushPage(va)
	}

	mapAs(kind: Kind, va: number, frame: number): void {
		const isHooked = kind === 'hooked' || kind === 'refused'
		if (isHooked) this.hook(frame)
		if (kind === 'refused') this.refuses = true
		this.map(va, frame, kind === 'absent' ? 0 : kind === 'writable' ? WRITABLE : READABLE)
	}

	hook(frame: number): void {
		this.machine.u8[this.machine.attributeAddress(frame)] = L.FRAME_HOOK
		this.cpu.flushWriteTlb()
	}

	private hostWrite(maddr: number, size: number, lo: number, hi: number): boolean {
		this.writes.push(`${maddr.toString(16)} ${size} ${hi.toString(16)}:${lo.toString(16)}`)
		if (this.refuses) return false
		const at = this.machine.frameAddress(0) + maddr
		for (let n = 0; n < size; n++) this.machine.u8[at + n] = (n < 4 ? lo : hi) >>> ((n & 3) * 8)
		this.onWrite()
		return true
	}

	/** To the exception that ends it; all there is to see then. */
	run(translated: boolean): Record<string, unknown> {
		const { cpu, machine } = this
		if (translated) assert.ok(this.translator.translateHere())
		for (let n = 0; n < 100; n++) if (cpu.run(1000) !== L.EXIT_BUDGET) break
		const registers = Array.from({ length: 16 }, (_, n) => cpu.getBig(n).toString(16))
		const xmm = Buffer.from(machine.u8.slice(cpu.state + L.CPU_XMM, cpu.state + L.CPU_XMM + 32)).toString('hex')
		const memory = [...FRAMES, OTHER_FRAME, TABLE_FRAME, CODE_FRAME].map((frame) =>
			Buffer.from(machine.framePage(frame)).toString('base64'),
		)
		const fault = { vector: this.vector, error: cpu.field(L.CPU_EXC_ERROR), address: this.vector === PAGE_FAULT ? cpu.wide(L.CPU_CR2) : 0 }
		return { registers, xmm, memory, ...fault, rip: cpu.rip, flags: cpu.rflags, writes: this.writes }
	}

	get vector(): number {
		return this.cpu.field(L.CPU_EXC_VECTOR)
	}

	/** Whether the interpreter has come to an offset of the code. */
	wasInterpreted(offset: number): boolean {
		return this.cpu.regions!.isEntry(CODE_FRAME * PAGE_SIZE + offset) !== 0
	}
}

/** Runs the code as a region and in the interpreter, each in a guest that `prepare` has made the same of; the translated one. */
function compare(hex: string, prepare: (guest: Guest) => void, what = ''): Guest {
	const [interpreted, translated] = [false, true].map((isTranslated) => {
		const guest = new Guest(hex)
		prepare(guest)
		return { guest, outcome: guest.run(isTranslated) }
	}) as [{ guest: Guest; outcome: object }, { guest: Guest; outcome: object }]
	assert.deepEqual(translated.outcome, interpreted.outcome, what)
	return translated.guest
}

/** RDI and RSP at an address, other registers with something in them. */
function pointTo(guest: Guest, address: number): void {
	const { cpu } = guest
	for (const register of [RAX, RCX, RSI]) cpu.set(register, 0x1234_5678 * (register + 1))
	cpu.set(RDI, address)
	cpu.set(RSP, address)
}

for (const [name, hex] of Object.entries(PROGRAMS))
	test(`${name.toLowerCase()} across two pages of whatever kinds are as the interpreter has them`, () => {
		const vectors = new Set<number>()
		for (const first of KINDS)
			for (const second of first === 'writable' ? KINDS : (['writable'] as const))
				for (let before = -4; before < 72; before += 12) {
					const guest = compare(
						hex,
						(guest) => {
							guest.mapAs(first, DATA, FRAMES[0])
							guest.mapAs(second, DATA + PAGE_SIZE, FRAMES[1])
							pointTo(guest, DATA + PAGE_SIZE - before)
						},
						`${first}, ${second}, ${before}`,
					)
					vectors.add(guest.vector)
				}
		assert.ok(vectors.has(BREAKPOINT) && vectors.has(PAGE_FAULT))
		assert.equal(vectors.has(GENERAL_PROTECTION), name === 'ALIGNED')
	})

test('a span in one page is found by the core when the TLB has not got it, and the region goes on', () => {
	const guest = compare(FIELDS, (guest) => {
		guest.map(DATA, FRAMES[0])
		pointTo(guest, DATA + 0x100)
	})
	assert.equal(guest.vector, BREAKPOINT)
	assert.equal(guest.wasInterpreted(3), false)
})

test('a span across two pages leaves the region behind its first access', () => {
	const guest = compare(FIELDS, (guest) => {
		guest.map(DATA, FRAMES[0])
		guest.map(DATA + PAGE_SIZE, FRAMES[1])
		pointTo(guest, DATA + PAGE_SIZE - 12)
	})
	assert.equal(guest.vector, BREAKPOINT)
	assert.equal(guest.wasInterpreted(3), true)
})

test('a span that ends where canonical addresses end faults where it should', () => {
	for (let before = 0; before < 72; before += 12)
		compare(FIELDS, (guest) => {
			guest.map(LAST_PAGE, FRAMES[0])
			pointTo(guest, LAST_PAGE + PAGE_SIZE - before)
		})
})

test('a store that has the host map another frame ends what is known of the old one, for reads and for writes', () => {
	// mov rax,[rdi]; mov [rsi],rax; mov rcx,[rdi+8]; mov [rdi+16],rcx; int3, and mov [rdi],rax; mov [rsi],rax; mov [rdi+8],rcx; int3
	// mov rax,[rdi]; mov [rdi+16],rax; mov ecx,3; 1: mov rdx,[rdi+8]; add rax,rdx; mov [rsi],rax; dec ecx; jnz 1b; mov [rdi+24],rax; int3
	const loop = '488b0748894710b903000000488b57084801d0488906ffc975f248894718cc'
	for (const hex of ['488b07488906488b4f0848894f10cc', '48890748890648894f08cc', loop]) {
		const guest = compare(hex, (guest) => {
			guest.map(DATA, FRAMES[0])
			guest.mapAs('hooked', TABLE, TABLE_FRAME)
			guest.onWrite = () => guest.map(DATA, OTHER_FRAME)
			pointTo(guest, DATA + 0x100)
			guest.cpu.set(RSI, TABLE)
		})
		assert.equal(guest.writes.length, hex === loop ? 3 : 1)
		assert.equal(guest.vector, BREAKPOINT)
	}
})

test('a store that makes the page a page table has the next one go to the host', () => {
	const guest = compare('48890748890648894f08cc', (guest) => {
		guest.map(DATA, FRAMES[0])
		guest.mapAs('hooked', TABLE, TABLE_FRAME)
		guest.onWrite = () => {
			guest.hook(FRAMES[0])
			guest.map(DATA, FRAMES[0], READABLE)
		}
		pointTo(guest, DATA + 0x100)
		guest.cpu.set(RSI, TABLE)
	})
	assert.equal(guest.writes.length, 2)
})

test('stores into the code that runs change what runs next', () => {
	// mov rax,[rdi]; mov [rdi+16],ecx; mov rdx,[rdi+8]; mov eax,0x11111111; mov [rdi+24],ecx; int3
	for (let at = 0; at < 32; at += 3) {
		const guest = compare('488b07894f10488b5708b811111111894f18cccccccc', (guest) => {
			pointTo(guest, CODE + 11 - 16 + at)
			guest.cpu.set(RCX, 0x0055_0022)
			if (guest.cpu.get(RDI) < CODE) guest.map(CODE - PAGE_SIZE, FRAMES[0])
		})
		if (at === 0) assert.equal(guest.cpu.get(RAX), 0x0055_0022)
	}
})

/**
 * mov ecx,256; 1: movzx eax,cl; mov edx,eax; add esi,[rdx*4+TABLE]; mov ebp,esi; shr ebp,24; xor esi,[rbp*4+TABLE]; mov ebx,esi; and ebx,255; mov [rbx*4+TABLE],esi;
 * add dword ptr [TABLE+4],1; add edi,[rip-20]; dec ecx; jnz 1b; int3
 */
function tableLoop(table: number): string {
	const at = (address: number) => Buffer.from(Uint32Array.of(address).buffer).toString('hex')
	const [start, second] = [at(table), at(table + 4)]
	return `b9000100000fb6c189c2033495${start}89f5c1ed183334ad${start}89f381e3ff00000089349d${start}830425${second}01033decffffffffc975c7cc`
}

test('a table with an index of a byte that ends before, at and behind the end of its page is as the interpreter has it, whatever kinds the pages are', () => {
	const vectors = new Set<number>()
	for (const first of KINDS)
		for (const second of first === 'writable' ? KINDS : (['writable'] as const))
			for (const at of [0x80, 0xbfc, 0xc00, 0xc04, 0xffc, 0xffe]) {
				const guest = compare(
					tableLoop(DATA + at),
					(guest) => {
						guest.mapAs(first, DATA, FRAMES[0])
						guest.mapAs(second, DATA + PAGE_SIZE, FRAMES[1])
						pointTo(guest, DATA)
					},
					`${first}, ${second}, ${at}`,
				)
				vectors.add(guest.vector)
			}
	assert.deepEqual([...vectors].sort(), [PAGE_FAULT, BREAKPOINT].sort())
})

test('a store that has the host map another frame ends what a loop knows of a page by its operand', () => {
	// mov ecx,6; 1: mov rax,[DATA+0x100]; add rdx,rax; movzx ebx,cl; add [rbx*8+DATA+0x100],rdx; mov [rsi],rax; dec ecx; jnz 1b; int3
	const guest = compare('b906000000488b0425000150004801c20fb6d9480114dd00015000488906ffc975e3cc', (guest) => {
		const frames = [OTHER_FRAME, ...FRAMES]
		guest.map(DATA, FRAMES[0])
		guest.mapAs('hooked', TABLE, TABLE_FRAME)
		guest.onWrite = () => guest.map(DATA, frames[guest.writes.length % 3]!)
		guest.cpu.set(RSI, TABLE)
	})
	assert.equal(guest.writes.length, 6)
	assert.equal(guest.vector, BREAKPOINT)
})

test('the last page of all faults when its slot of the TLB is empty, however that was emptied', () => {
	const flushes: Readonly<Record<string, (guest: Guest) => void>> = {
		none: () => {},
		page: ({ cpu }) => cpu.flushPage(LAST_SLOTS_PAGE),
		writes: ({ cpu }) => cpu.flushWriteTlb(),
		root: ({ cpu }) => cpu.setUserRoot(1),
		all: ({ cpu }) => cpu.flushTlb(),
	}
	// mov rax,[LAST_SLOTS_PAGE]; mov [LAST_SLOTS_PAGE+8],rax; mov [rsi],rax; mov rdi,-8; then mov rcx,[rdi] or mov [rdi],rcx; int3
	for (const access of ['488b0f', '48890f'])
		for (const [what, flush] of Object.entries(flushes)) {
			const prepare = (guest: Guest) => {
				guest.map(LAST_SLOTS_PAGE, FRAMES[0])
				guest.mapAs('hooked', TABLE, TABLE_FRAME)
				guest.onWrite = () => flush(guest)
				guest.cpu.set(RSI, TABLE)
			}
			const guest = compare(`488b042500f07f004889042508f07f0048890648c7c7f8ffffff${access}cc`, prepare, what)
			assert.equal(guest.vector, PAGE_FAULT)
		}
})
