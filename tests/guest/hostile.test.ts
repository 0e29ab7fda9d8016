// Guests that do wrong, on a running vCPU: they may end themselves, and nothing else.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SCHEDOP_shutdown, SCHEDOP_yield, SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts'
import {
	__HYPERVISOR_iret,
	__HYPERVISOR_mmuext_op,
	__HYPERVISOR_multicall,
	__HYPERVISOR_sched_op,
	__HYPERVISOR_set_trap_table,
	__HYPERVISOR_update_va_mapping,
	DOMID_SELF,
	FLAT_KERNEL_CS,
	HYPERVISOR_VIRT_START,
	MMUEXT_NEW_BASEPTR,
	mmuext_op,
	multicall_entry,
	trap_info,
	UVMF_INVLPG,
} from '../../src/abi/xen.ts'
import { PAGE_SIZE } from '../../src/x86/machine_memory.ts'
import type { DomainControl } from '../../src/xen/domain_control.ts'
import { hypercallCount, hypercallTable } from '../../src/xen/hypercall_table.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import { CODE, DATA, DATA_MFN, hypercall, imm32, SPIN, STACK_TOP, startTinyGuest, testHypervisor, whenShutDown } from './tiny_guest.ts'

const NIGHTLY = process.env.XENOTYPE_NIGHTLY === '1'
const SEED = Number(process.env.XENOTYPE_SEED ?? (NIGHTLY ? Date.now() % 2 ** 31 : 20))
const GUESTS = NIGHTLY ? 500 : 20
/** How long a random guest that does not end by itself may go on. */
const RANDOM_GUEST_MS = 150

let hypervisor: Hypervisor
before(async () => {
	hypervisor = await testHypervisor()
})
after(() => hypervisor.close())

const UD2 = [0x0f, 0x0b]
const SET_TRAP_HANDLER = hypercall(__HYPERVISOR_set_trap_table, DATA)
const POWEROFF = [...hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, DATA + 0xff0), ...SPIN]

test('an exception whose handler raises it again crashes the domain when its stack ends', async () => {
	// The handler is the ud2 itself.
	const { reason, crashReason } = await runToEnd([...SET_TRAP_HANDLER, ...UD2], trapTable(6, CODE + SET_TRAP_HANDLER.length))
	assert.equal(reason, SHUTDOWN_crash)
	assert.match(crashReason!, /create_bounce_frame/)
})

test('a page fault whose handler is not mapped crashes the domain: what is a triple fault elsewhere', async () => {
	// mov eax, [0x1000]
	const load = [0x8b, 0x04, 0x25, ...imm32(0x1000)]
	const { reason, crashReason } = await runToEnd([...SET_TRAP_HANDLER, ...load], trapTable(14, 0x70_0000))
	assert.equal(reason, SHUTDOWN_crash)
	assert.match(crashReason!, /create_bounce_frame/)
})

test('a guest without a stack crashes at its first exception', async () => {
	// mov rsp, imm32 (sign-extended: in Xen's own area)
	const code = [...SET_TRAP_HANDLER, 0x48, 0xc7, 0xc4, ...imm32(-4096), ...UD2]
	assert.match((await runToEnd(code, trapTable(6, CODE))).crashReason!, /create_bounce_frame/)
})

test('a guest that unmaps the code it runs crashes', async () => {
	const code = [...hypercall(__HYPERVISOR_update_va_mapping, CODE, 0, UVMF_INVLPG), ...SPIN]
	assert.match((await runToEnd(code)).crashReason!, /no handler/)
})

test('frames that are no page tables are refused as the base, and the guest goes on', async () => {
	const frames = [1, 2, 11, 10, 0xff_ffff, 2 ** 40, 2 ** 52 - 1]
	const results = 0xe00
	const data = bytes((view) => {
		frames.forEach((mfn, n) => {
			view.setUint32(n * mmuext_op.size + mmuext_op.at.cmd, MMUEXT_NEW_BASEPTR, true)
			view.setBigUint64(n * mmuext_op.size + mmuext_op.at.arg1, BigInt(mfn), true)
		})
	})
	const code = frames.flatMap((_, n) => [
		...hypercall(__HYPERVISOR_mmuext_op, DATA + n * mmuext_op.size, 1, 0, DOMID_SELF),
		// mov [DATA + results + 8 n], rax
		...[0x48, 0x89, 0x04, 0x25, ...imm32(DATA + results + 8 * n)],
	])
	const { reason, domainData } = await runToEnd([...code, ...POWEROFF], data)
	assert.equal(reason, SHUTDOWN_poweroff)
	const returned = frames.map((_, n) => domainData.getInt32(results + 8 * n, true))
	assert.ok(
		returned.every((result) => result < 0 && result > -200),
		`each an errno: ${returned}`,
	)
})

/** Ways of keeping a vCPU busy for ever. */
const LOOPS: Readonly<Record<string, { code: readonly number[]; data?: Uint8Array }>> = {
	'exceptions without end': {
		// ud2; the handler: mov rsp, STACK_TOP; ud2
		code: [...SET_TRAP_HANDLER, ...UD2, 0x48, 0xc7, 0xc4, ...imm32(STACK_TOP), ...UD2],
		data: trapTable(6, CODE + SET_TRAP_HANDLER.length + UD2.length),
	},
	'yields without end': forever(hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield)),
	'unknown hypercalls without end': forever(hypercall(63, -1, -1, -1)),
	'long multicalls without end': {
		...forever(hypercall(__HYPERVISOR_multicall, DATA, PAGE_SIZE / multicall_entry.size)),
		data: bytes((view) => {
			for (let at = 0; at < PAGE_SIZE; at += multicall_entry.size) {
				view.setBigUint64(at + multicall_entry.at.op, BigInt(__HYPERVISOR_multicall), true)
				view.setBigUint64(at + multicall_entry.at.args, BigInt(DATA), true)
				view.setBigUint64(at + multicall_entry.at.args + 8, 64n, true)
			}
		}),
	},
	'multicalls of four billion entries': forever(hypercall(__HYPERVISOR_multicall, DATA, -1)),
	// mov ecx, 0x10; rdmsr
	'a privileged instruction without end': forever([0xb9, ...imm32(0x10), 0x0f, 0x32]),
	// The handler of #DB, once: mov rsp, STACK_TOP; pushfq; or dword [rsp], 0x100; popfq; jmp $
	'a single step of itself without end': {
		code: [...SET_TRAP_HANDLER, ...[0x48, 0xc7, 0xc4, ...imm32(STACK_TOP)], 0x9c, 0x81, 0x0c, 0x24, ...imm32(0x100), 0x9d, ...SPIN],
		data: trapTable(1, CODE + SET_TRAP_HANDLER.length),
	},
}

for (const [what, { code, data }] of Object.entries(LOOPS)) {
	test(`${what}: the domain is paused, goes on and is destroyed at once`, async () => {
		const control = await startTinyGuest(hypervisor, code, data)
		const end = ended(control)
		control.unpause()
		await ranFor(control, 50, end)
		await control.pause()
		const { cpuTime_ns } = control.info()
		await delay(20)
		assert.equal(control.info().cpuTime_ns, cpuTime_ns)
		control.unpause()
		await ranFor(control, 10, end)
		await control.destroy()
		assert.equal(end.reason, undefined, `it ended by itself: ${end.crashReason}`)
		assertHostUnharmed()
	})
}

test(`hypercalls with random arguments, from ${GUESTS} running guests (seed ${SEED})`, async () => {
	let calls = 0
	for (let n = 0; n < GUESTS; n++) {
		const random = generator(SEED + n)
		const control = await startTinyGuest(hypervisor, randomCaller(random()), callerData(random))
		await runFor(control, RANDOM_GUEST_MS)
		calls += hypercallTable.reduce((sum, row) => sum + (row ? hypercallCount(control.domain, row.number) : 0), 0)
		await control.destroy()
		assertHostUnharmed(`seed ${SEED + n}`)
	}
	assert.ok(calls > GUESTS * 100, `only ${calls} calls: the guests end too soon to test anything`)
	await assertHostWorks()
})

test(`random bytes as code, in ${GUESTS} guests (seed ${SEED})`, async () => {
	for (let n = 0; n < GUESTS; n++) {
		const random = generator(SEED + n)
		const code = Array.from({ length: PAGE_SIZE }, () => random() >>> 24)
		// Every exception is handled by more of the same code.
		const handlers = bytes((view) => {
			for (let vector = 0; vector < 32; vector++) setTrap(view, vector, vector, CODE + (random() % PAGE_SIZE))
		})
		const control = await startTinyGuest(hypervisor, [...SET_TRAP_HANDLER, ...code].slice(0, PAGE_SIZE), handlers)
		await runFor(control, RANDOM_GUEST_MS)
		await control.destroy()
		assertHostUnharmed(`seed ${SEED + n}`)
	}
	await assertHostWorks()
})

/**
 * Calls for ever, with values picked from the data page: number from the second half, arguments from the first, which also go to a
 * scratch area (the lower half of the stack's page) that arguments point to. r12 is a xorshift generator.
 */
function randomCaller(seed: number): number[] {
	const [RDI, RSI, RDX, R8, R10] = [7, 6, 2, 8, 10]
	/** mov rax, r12; shr rax, shift; and eax, mask */
	const index = (shift: number, mask: number) => [0x4c, 0x89, 0xe0, 0x48, 0xc1, 0xe8, shift, 0x25, ...imm32(mask)]
	/** mov rax, r12; shl or shr rax, count; xor r12, rax */
	const mix = (left: boolean, count: number) => [0x4c, 0x89, 0xe0, 0x48, 0xc1, left ? 0xe0 : 0xe8, count, 0x49, 0x31, 0xc4]
	/** mov reg, [rbp + 8 rax] */
	const load = (reg: number) => [reg < 8 ? 0x48 : 0x4c, 0x8b, 0x44 | ((reg & 7) << 3), 0xc5, 0]
	const pick = (reg: number, shift: number) => [...index(shift, 0xff), ...load(reg)]
	/** mov [r13 + 8 rax], rdx */
	const store = [0x49, 0x89, 0x54, 0xc5, 0]
	const body = [
		...[...mix(true, 13), ...mix(false, 7), ...mix(true, 17)],
		...[...pick(RDX, 3), ...index(44, 0xff), ...store],
		...[...pick(RDX, 20), ...index(52, 0x0f), ...store],
		...[...pick(RDI, 8), ...pick(RSI, 16), ...pick(RDX, 24), ...pick(R10, 32), ...pick(R8, 40)],
		// The number: mov rax, [rbp + 8 rax + 0x800]; syscall
		...[...index(48, 0xff), 0x48, 0x8b, 0x84, 0xc5, ...imm32(0x800), 0x0f, 0x05],
	]
	return [
		// mov r12d, seed; mov ebp, DATA; mov r13d, scratch
		...[0x41, 0xbc, ...imm32(seed | 1), 0xbd, ...imm32(DATA), 0x41, 0xbd, ...imm32(SCRATCH)],
		...body,
		...[0xe9, ...imm32(-(body.length + 5))],
	]
}

const SCRATCH = STACK_TOP - PAGE_SIZE

function callerData(random: () => number): Uint8Array {
	const below = (limit: number) => random() % limit
	const values: readonly (() => number)[] = [
		() => below(40),
		() => below(40),
		() => SCRATCH + 8 * below(16),
		() => SCRATCH + 8 * below(16),
		() => DATA + below(PAGE_SIZE),
		() => CODE + below(3) * PAGE_SIZE,
		() => below(16),
		() => below(1100),
		// Entries of page tables, and addresses of such entries for mmu_update.
		() => below(16) * PAGE_SIZE + below(512),
		() => (8 + below(4)) * PAGE_SIZE + 8 * below(512) + below(4),
		() => 0x7ff0 + below(6),
		() => HYPERVISOR_VIRT_START,
		() => random(),
		() => -1,
	]
	const numbers = hypercallTable.flatMap((row) => (row ? [row.number] : []))
	// Few guests survive a call of these for long.
	const fatal = below(4) > 0 ? [__HYPERVISOR_iret, __HYPERVISOR_sched_op, __HYPERVISOR_update_va_mapping] : []
	const usual = numbers.filter((number) => !fatal.includes(number))
	return bytes((view) => {
		for (let n = 0; n < 256; n++) {
			view.setBigInt64(n * 8, BigInt(values[below(values.length)]!()), true)
			view.setBigInt64(0x800 + n * 8, BigInt(usual[below(usual.length)]!), true)
		}
	})
}

function forever(body: readonly number[]): { code: readonly number[] } {
	return { code: [...body, 0xe9, ...imm32(-(body.length + 5))] }
}

function bytes(fill: (view: DataView) => void): Uint8Array {
	const page = new Uint8Array(PAGE_SIZE)
	fill(new DataView(page.buffer))
	return page
}

function trapTable(vector: number, address: number): Uint8Array {
	return bytes((view) => setTrap(view, 0, vector, address))
}

function setTrap(view: DataView, n: number, vector: number, address: number): void {
	const at = n * trap_info.size
	view.setUint8(at + trap_info.at.vector, vector)
	view.setUint16(at + trap_info.at.cs, FLAT_KERNEL_CS, true)
	view.setBigUint64(at + trap_info.at.address, BigInt(address), true)
}

interface End {
	reason: number | undefined
	crashReason: string | undefined
}

function ended(control: DomainControl): End {
	const end: End = { reason: undefined, crashReason: undefined }
	control.onShutdown((reason, crashReason) => Object.assign(end, { reason, crashReason }))
	return end
}

/** Runs the guest until it shuts down, and returns why and what is in its data page then. */
async function runToEnd(code: readonly number[], data?: Uint8Array): Promise<End & { domainData: DataView }> {
	const control = await startTinyGuest(hypervisor, code, data)
	const shutDown = whenShutDown(control)
	control.unpause()
	const end = await shutDown
	const domainData = new DataView(Uint8Array.from(control.domain.machine.framePage(DATA_MFN)).buffer)
	await control.destroy()
	assertHostUnharmed()
	return { ...end, domainData }
}

/** Runs the guest until it shuts down, or for so long. */
async function runFor(control: DomainControl, ms: number): Promise<void> {
	const end = ended(control)
	control.unpause()
	await ranFor(control, ms, end)
}

/** Waits until the vCPU has run for so long more, has gone to sleep or the guest has ended. */
async function ranFor(control: DomainControl, ms: number, end: End): Promise<void> {
	const until_ns = control.info().cpuTime_ns + ms * 1e6
	for (let tries = 0; control.info().cpuTime_ns < until_ns && end.reason === undefined && !control.info().blocked; tries++) {
		assert.ok(tries < 6000, 'the guest runs')
		await delay(5)
	}
}

function assertHostUnharmed(what = ''): void {
	assert.doesNotMatch(hypervisor.log.read(), /host exception|has not stopped/, what)
}

async function assertHostWorks(): Promise<void> {
	assert.equal((await runToEnd(POWEROFF)).reason, SHUTDOWN_poweroff)
}

/** xorshift32. */
function generator(seed: number): () => number {
	let state = Math.imul(seed + 1, 0x9e37_79b1) | 1
	return () => {
		state ^= state << 13
		state ^= state >>> 17
		state ^= state << 5
		return state >>> 0
	}
}

function delay(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}
