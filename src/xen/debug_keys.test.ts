import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VIRQ_TIMER } from '../abi/xen.ts'
import {
	CNT_EXCEPTIONS,
	CNT_EXITS,
	CNT_REGION_INSTRUCTIONS,
	CNT_REGIONS,
	CNT_RETURNS_LOOKED_UP,
	CNT_RETURNS_REMEMBERED,
	CPU_ICOUNT,
	EXIT_SYSCALL,
} from '../x86/core/layout.ts'
import { clearCounters, readCounters } from '../x86/counters.ts'
import { debugKey } from './debug_keys.ts'
import { answerDebugRequest, DEBUG_CLEAR_COUNTERS, DEBUG_PROCESSOR, DEBUG_REGISTERS } from './debug_report.ts'
import { bindVirq } from './event_channel.ts'
import { Hypervisor } from './hypervisor.ts'
import { testDomain, testVcpu, threadsStartedBy } from './testing.ts'
import { VS_DEBUG, vcpuWord } from './vcpu_shared.ts'
import type { VcpuThreadEvents } from './vcpu_threads.ts'

const CONFIG = { uuid: '00112233-4455-6677-8899-aabbccddeeff', vcpus: 1, memory_KiB: 4096 }
const CONTEXT = { entry: 0, stackPointer: 0, startInfoVa: 0, l4Mfn: 0 }

function setUp() {
	const hypervisor = new Hypervisor({
		clock: { monotonic_ns: () => 5_000_000_000, wall: () => ({ seconds: 0, nanoseconds: 0 }) },
		threads: threadsStartedBy((_, events) => ({ terminate: async () => events.ended() })),
	})
	return { hypervisor }
}

test("key 'h' lists every key with its code, and a key that is not there writes nothing", async () => {
	const { hypervisor } = setUp()
	hypervisor.log.clear()
	await hypervisor.debugKeys('h')
	const lines = hypervisor.log.read().trimEnd().split('\n')
	assert.equal(lines[0], "(XEN) 'h' pressed -> showing installed handlers")
	assert.ok(lines.includes("(XEN)  key 'q' (ascii '71') => dump domain (and guest debug) info"))
	hypervisor.log.clear()
	await hypervisor.debugKeys('Z~\n')
	assert.equal(hypervisor.log.read(), '')
})

test('debugKeys() serves the keys in their order, for every domain', async () => {
	const { hypervisor } = setUp()
	const first = await hypervisor.createDomain(CONFIG)
	await hypervisor.createDomain(CONFIG)
	bindVirq(first.domain, VIRQ_TIMER, 0)
	hypervisor.log.clear()
	await hypervisor.debugKeys('qer')
	const text = hypervisor.log.read()
	assert.match(text, /\(now = 5000000000\)\n\(XEN\) General information for domain 1:\n\(XEN\) {5}dying=0 pause_count=1\n/)
	assert.match(text, /nr_pages=1024 max_pages=1024\n\(XEN\) {5}handle=00112233-4455-6677-8899-aabbccddeeff vm_assist=00000000\n/)
	assert.match(text, /VCPU0: \[online=F\] poll=0 upcall_pend=00 upcall_mask=01\n\(XEN\) General information for domain 2:/)
	assert.match(
		text,
		/Event channel information for domain 1:[\s\S]*\[0\/0\/0\]: s=5 n=0 x=0 v=0[\s\S]*Event channel information for domain 2:/,
	)
	assert.match(text, /\[2\.0\] offline: running=0\.000s/)
	assert.ok(text.indexOf("'q' pressed") < text.indexOf("'e' pressed") && text.indexOf("'e' pressed") < text.indexOf('NOW='))
	await hypervisor.close()
})

test("key 'm' counts a domain's pages by their use", async () => {
	const { hypervisor } = setUp()
	const control = await hypervisor.createDomain(CONFIG)
	const lines = await debugKey('m', { domains: [control], now_ns: 0 })
	assert.match(lines[2]!, /frames for the guest: 4096kB/)
	assert.match(lines[4]!, /types in use: L1 0, L2 0, L3 0, L4 0, descriptors 0/)
	assert.match(lines[5]!, /: 0$/)
	await hypervisor.close()
})

test('debugReport() returns what the vCPU answers, and nothing for a vCPU whose thread has ended', async () => {
	let events: VcpuThreadEvents | undefined
	const hypervisor = new Hypervisor({
		clock: { monotonic_ns: () => 0, wall: () => ({ seconds: 0, nanoseconds: 0 }) },
		threads: threadsStartedBy((_, given) => {
			events = given
			return { terminate: async () => given.ended() }
		}),
	})
	const control = await hypervisor.createDomain(CONFIG)
	assert.deepEqual(await control.debugReport(DEBUG_PROCESSOR), [], 'not started')
	control.start(CONTEXT)
	const answer = control.debugReport(DEBUG_PROCESSOR)
	assert.equal(control.domain.machine.u32[vcpuWord(control.domain, 0, VS_DEBUG)], DEBUG_PROCESSOR)
	events?.report(['one', 'two'])
	assert.deepEqual(await answer, ['one', 'two'])
	events?.ended()
	assert.deepEqual(await control.debugReport(DEBUG_PROCESSOR), [])
	await hypervisor.close()
})

test('answerDebugRequest() answers each request once, with registers and the processor', () => {
	const domain = testDomain()
	const vcpu = testVcpu(domain)
	const { machine } = domain
	const count = (offset: number, value: bigint) => {
		machine.u64[(vcpu.cpu.state + offset) >>> 3] = value
	}
	count(CPU_ICOUNT, 1000n)
	count(CNT_REGION_INSTRUCTIONS, 900n)
	count(CNT_REGIONS, 30n)
	count(CNT_RETURNS_REMEMBERED, 3n)
	count(CNT_RETURNS_LOOKED_UP, 1n)
	count(CNT_EXITS + EXIT_SYSCALL * 8, 4n)
	count(CNT_EXCEPTIONS + 14 * 8, 3n)
	answerDebugRequest(vcpu, undefined)
	assert.deepEqual(vcpu.lines, [], 'nobody asked')
	const word = vcpuWord(domain, 0, VS_DEBUG)
	Atomics.store(machine.u32, word, DEBUG_REGISTERS | DEBUG_PROCESSOR | DEBUG_CLEAR_COUNTERS)
	answerDebugRequest(vcpu, { statistics: { regions: 7, time_ms: 1.25, queue: [] } })
	const text = vcpu.lines.join('\n')
	assert.match(text, /\*\*\* Dumping Dom1 vcpu#0 state: \*\*\*[\s\S]*rax: 0000000000000000/)
	assert.match(text, /Processor of d1v0: 1000 instructions, 90\.0 % in translated regions/)
	assert.match(text, /regions entered: 30, 30 instructions each; ended by another region 30/)
	assert.match(text, /returns out of regions: 4, 75\.0 % remembered/)
	assert.match(text, /exits: syscall 4; one in 250 instructions/)
	assert.match(text, /exceptions: #PF 3\n/)
	assert.match(text, /translator: regions=7 time_ms=1\.3$/)
	assert.equal(Atomics.load(machine.u32, word), 0)
	const { instructions, regions } = readCounters(machine, 0)
	assert.deepEqual([instructions, regions], [0, 0], 'counted anew')
})

test('clearCounters() leaves the count of all instructions alone', () => {
	const domain = testDomain()
	const { machine } = domain
	const icount = (machine.vcpuState(0) + CPU_ICOUNT) >>> 3
	machine.u64[icount] = 500n
	clearCounters(machine, 0)
	machine.u64[icount] = 620n
	assert.equal(readCounters(machine, 0).instructions, 120)
})
