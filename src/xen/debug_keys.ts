/** Debug keys: each has the hypervisor write something of its state to its log, for `xm debug-keys` and then `xm dmesg`. */
import { vcpu_info } from '../abi/xen.ts'
import { FRAME_CODE } from '../x86/core/layout.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { DEBUG_CLEAR_COUNTERS, DEBUG_PROCESSOR, DEBUG_REGISTERS } from './debug_report.ts'
import type { Domain } from './domain.ts'
import type { DomainControl } from './domain_control.ts'
import { vcpuInfo } from './event_ports.ts'
import { describeEventChannels } from './event_status.ts'
import { describeGrants } from './grant_status.ts'
import { hypercallCount, hypercallTable } from './hypercall_table.ts'
import {
	PAGE_OWNED,
	PAGE_PINNED,
	PI_FLAGS,
	PI_TYPE,
	PI_TYPE_COUNT,
	PI_WORDS,
	TYPE_L1,
	TYPE_L4,
	TYPE_MASK,
	TYPE_SEG_DESC,
	TYPE_WRITABLE,
} from './mm/page_info.ts'
import { readRunstate } from './runstate.ts'
import {
	CB_CURRENT_FRAMES,
	CB_DYING,
	CB_FRAME_LIMIT,
	CB_PAUSE_COUNT,
	CB_UNKNOWN_HYPERCALLS,
	CB_VM_ASSIST,
	controlWord,
	VS_ONLINE,
	VS_POLLING,
	vcpuWord,
} from './vcpu_shared.ts'

/** What a key looks at. */
export interface DebugView {
	/** By number. */
	readonly domains: readonly DomainControl[]
	readonly now_ns: number
}

type Dump = (view: DebugView) => readonly string[] | Promise<readonly string[]>

/** Xen's own letters; those of its performance counters are our processor's. */
const KEYS: ReadonlyMap<string, { readonly description: string; readonly dump: Dump }> = new Map(
	[
		key('d', 'dump registers', dumpRegisters),
		key('e', 'dump evtchn info', dumpEventChannels),
		key('g', 'print grant table usage', dumpGrants),
		key('h', 'show this message', listKeys),
		key('m', 'memory info', dumpMemory),
		key('P', "reset the processors' counters", clearProcessors),
		key('p', "print the processors' counters: tiers, exits, translation", dumpProcessors),
		key('q', 'dump domain (and guest debug) info', dumpDomains),
		key('r', 'dump run queues', dumpRunQueues),
	].map((row) => [row.key, row]),
)

/** The lines of one key, without the log's prefix. A key that means nothing has none. */
export async function debugKey(character: string, view: DebugView): Promise<readonly string[]> {
	return (await KEYS.get(character)?.dump(view)) ?? []
}

function key(key: string, description: string, dump: Dump) {
	return { key, description, dump }
}

function listKeys(): string[] {
	const rows = [...KEYS].map(([key, { description }]) => ` key '${key}' (ascii '${key.charCodeAt(0).toString(16)}') => ${description}`)
	return ["'h' pressed -> showing installed handlers", ...rows]
}

function dumpDomains({ domains, now_ns }: DebugView): string[] {
	return [`'q' pressed -> dumping domain info (now = ${Math.round(now_ns)})`, ...domains.flatMap(({ domain }) => describeDomain(domain))]
}

function describeDomain(domain: Domain): string[] {
	const word = (offset: number) => Atomics.load(domain.machine.u32, controlWord(domain, offset))
	const { domid, uuid } = domain.description
	return [
		`General information for domain ${domid}:`,
		`    dying=${word(CB_DYING)} pause_count=${word(CB_PAUSE_COUNT)}`,
		`    nr_pages=${word(CB_CURRENT_FRAMES)} max_pages=${word(CB_FRAME_LIMIT)}`,
		`    handle=${uuid} vm_assist=${word(CB_VM_ASSIST).toString(16).padStart(8, '0')}`,
		`VCPU information and callbacks for domain ${domid}:`,
		...eachVcpu(domain, (vcpu) => describeVcpu(domain, vcpu)),
	]
}

function describeVcpu(domain: Domain, vcpu: number): string {
	const { machine } = domain
	const word = (offset: number) => Atomics.load(machine.u32, vcpuWord(domain, vcpu, offset))
	const info = vcpuInfo(domain, vcpu)
	const byte = (offset: number) => (machine.u8[info + offset] as number).toString(16).padStart(2, '0')
	const { evtchn_upcall_pending, evtchn_upcall_mask } = vcpu_info.at
	const upcall = `upcall_pend=${byte(evtchn_upcall_pending)} upcall_mask=${byte(evtchn_upcall_mask)}`
	return `    VCPU${vcpu}: [online=${word(VS_ONLINE) ? 'T' : 'F'}] poll=${word(VS_POLLING)} ${upcall}`
}

/** RUNSTATE_*. */
const RUNSTATES = ['running', 'runnable', 'blocked', 'offline']

function dumpRunQueues({ domains, now_ns }: DebugView): string[] {
	const rows = domains.flatMap(({ domain, systemTime_ns }) =>
		eachVcpu(domain, (vcpu) => {
			const { state, times_ns } = readRunstate(domain, vcpu, systemTime_ns)
			const times = times_ns.map((time, n) => `${RUNSTATES[n]}=${(time / 1e9).toFixed(3)}s`).join(' ')
			return `    [${domain.domid}.${vcpu}] ${RUNSTATES[state]}: ${times}`
		}),
	)
	return [`NOW=${Math.round(now_ns)}`, "Scheduler: the host's (a thread for each vCPU)", 'units:', ...rows]
}

function dumpEventChannels({ domains }: DebugView): string[] {
	return ["'e' pressed -> dumping event-channel info", ...domains.flatMap(({ domain }) => describeEventChannels(domain))]
}

function dumpGrants({ domains }: DebugView): string[] {
	const tables = domains.flatMap(({ domain }) => describeGrants(domain))
	return ["gnttab_usage_print_all [ key 'g' pressed", ...tables, 'gnttab_usage_print_all ] done']
}

function dumpMemory({ domains }: DebugView): string[] {
	return ['Physical memory information:', ...domains.flatMap(({ domain }) => describeMemory(domain))]
}

function describeMemory(domain: Domain): string[] {
	const { machine, layout } = domain
	const kB = (frames: number) => `${(frames * PAGE_SIZE) / 1024}kB`
	const types = new Array<number>(TYPE_MASK + 1).fill(0)
	let owned = 0
	let pinned = 0
	let withCode = 0
	const info = domain.at(layout.pageInfo) >>> 2
	for (let mfn = 0; mfn < layout.frames; mfn++) {
		const entry = info + mfn * PI_WORDS
		const type = machine.u32[entry + PI_TYPE] as number
		if ((machine.u32[entry + PI_FLAGS] as number) & PAGE_OWNED) owned++
		if (type & PAGE_PINNED) pinned++
		if ((machine.u32[entry + PI_TYPE_COUNT] as number) > 0) types[type & TYPE_MASK]!++
		if ((machine.u8[machine.attributeAddress(mfn)] as number) & FRAME_CODE) withCode++
	}
	const tables = types.slice(TYPE_L1, TYPE_L4 + 1).map((count, n) => `L${n + 1} ${count}`)
	return [
		`Memory of domain ${domain.domid}:`,
		`    machine: ${Math.round(machine.memory.buffer.byteLength / 1024)}kB; frames for the guest: ${kB(layout.ramFrames)}, for Xen: ${kB(layout.hypervisorFrames)}`,
		`    owned by the guest: ${owned} pages (${kB(owned)})`,
		`    types in use: ${tables.join(', ')}, descriptors ${types[TYPE_SEG_DESC]}, writable ${types[TYPE_WRITABLE]}; pinned: ${pinned}`,
		`    pages that hold decoded or translated code: ${withCode}`,
	]
}

async function dumpRegisters({ domains }: DebugView): Promise<string[]> {
	return ["'d' pressed -> dumping registers", ...(await reports(domains, DEBUG_REGISTERS))]
}

async function dumpProcessors({ domains }: DebugView): Promise<string[]> {
	const lines = ["'p' pressed -> dumping the processors' counters"]
	for (const control of domains) lines.push(...(await control.debugReport(DEBUG_PROCESSOR)), describeHypercalls(control.domain))
	return lines
}

function describeHypercalls(domain: Domain): string {
	const counts = hypercallTable.flatMap((row) => (row === undefined ? [] : [{ name: row.name, count: hypercallCount(domain, row.number) }]))
	const unknown = Atomics.load(domain.machine.u32, controlWord(domain, CB_UNKNOWN_HYPERCALLS))
	const parts = [...counts, { name: 'unknown', count: unknown }].filter(({ count }) => count > 0).sort((a, b) => b.count - a.count)
	return `    hypercalls: ${parts.length === 0 ? 'none' : parts.map(({ name, count }) => `${name} ${count}`).join(', ')}`
}

async function clearProcessors({ domains }: DebugView): Promise<string[]> {
	return ["'P' pressed -> resetting the processors' counters", ...(await reports(domains, DEBUG_CLEAR_COUNTERS))]
}

/** One domain after the other. */
async function reports(domains: readonly DomainControl[], request: number): Promise<string[]> {
	const lines: string[] = []
	for (const control of domains) lines.push(...(await control.debugReport(request)))
	return lines
}

function eachVcpu(domain: Domain, describe: (vcpu: number) => string): string[] {
	return Array.from({ length: domain.description.vcpus }, (_, vcpu) => describe(vcpu))
}
