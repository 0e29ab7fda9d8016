import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as G from '../abi/grant_table.ts'
import { DOMID_SELF } from '../abi/xen.ts'
import { consoleIoHypercall } from './console_io.ts'
import { eventChannelCompatHypercall, eventChannelHypercall } from './event_channel_op.ts'
import { ECS_FREE, PORT_STATE, portField, validPorts } from './event_ports.ts'
import { randomNumbers } from './event_stress_worker.ts'
import { type MappedGrant, mapGrant, unmapGrant } from './grant_backend.ts'
import { ACT_PIN, activeEntry } from './grant_entries.ts'
import { isPinnedWritable } from './grant_pin.ts'
import { grantTableHypercall } from './grant_table.ts'
import { hvmHypercall } from './hvm_op.ts'
import { HYPERCALL_PREEMPTED } from './hypercall_row.ts'
import { MAPTRACK_ENTRIES, MAPTRACK_SIZE } from './machine_layout.ts'
import { TYPE_L1 } from './mm/page_info.ts'
import { physdevCompatHypercall, physdevHypercall } from './physdev_op.ts'
import { hypercallArgs, testDomain, testVcpu } from './testing.ts'
import { versionHypercall } from './version.ts'

const CALLS = process.env.XENOTYPE_NIGHTLY ? 1_000_000 : 40_000
const FRAMES = 64
const PAGE_TABLE_MFN = 50
/** A result is an errno, a GNTST_* count or a size: nothing beyond these. */
const LARGEST = 0x7fff_ffff

const rows = [
	eventChannelHypercall,
	eventChannelHypercall,
	eventChannelCompatHypercall,
	grantTableHypercall,
	grantTableHypercall,
	versionHypercall,
	consoleIoHypercall,
	physdevHypercall,
	physdevCompatHypercall,
	hvmHypercall,
] as const

/** Numbers at which checks go wrong, and small ones that mean something. */
const EDGES = [
	0, 1, 2, 3, 7, 8, 15, 16, 31, 63, 64, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
]

function fuzz(seed: number): void {
	const domain = testDomain({ vcpus: 2, maxFrames: FRAMES, maxPorts: 256 })
	const vcpu = testVcpu(domain)
	const { u32, u16 } = domain.machine
	const random = randomNumbers(seed)
	const pick = <T>(from: readonly T[]): T => from[random() % from.length] as T
	const number = () => pick([() => random() % 20, () => pick(EDGES), () => random() % FRAMES, () => DOMID_SELF, () => random()])()
	const address = () =>
		pick([
			() => 0x1000 + (random() % 16) * 4,
			() => (random() % (FRAMES + 2)) * 4096 - (random() % 64),
			() => PAGE_TABLE_MFN * 4096 + (random() % 512) * 8,
			() => pick([0, -1, 2 ** 47, -(2 ** 47), 2 ** 63, -(2 ** 63), 2 ** 47 - 4, -0x7800_0000_0000]),
		])()
	const page = (domain.machine.frameAddress(1) >>> 2) as number
	const scribble = () => {
		for (let n = 0; n < 24; n++) u32[page + n] = number()
		if (random() % 2) u16[page * 2 + (random() % 24)] = pick([0, 1, 5, DOMID_SELF])
		const table = domain.machine.frameAddress(domain.layout.grantMfn) >>> 2
		for (let n = 0; n < 4; n++) u32[table + (random() % 64)] = pick([0x1_0001, 0x0_0001, 0x1_0005, 0x0_0101, number()])
	}
	/** Arguments that get past the first checks: a grant mapped at a page table entry, unmapped, or copied. */
	const plausible = (): Uint32Array => {
		const entry = PAGE_TABLE_MFN * 4096 + (random() % 8) * 8
		const ref = random() % 32
		const command = pick([G.GNTTABOP_map_grant_ref, G.GNTTABOP_unmap_grant_ref, G.GNTTABOP_copy])
		u32.fill(0, page, page + 12)
		if (command === G.GNTTABOP_copy) {
			u32.set([random() % FRAMES, 0, DOMID_SELF | ((random() % 4096) << 16), 0], page)
			u32.set([ref, 0, DOMID_SELF | ((random() % 4096) << 16), 0, (random() % 64) | (pick([2, 2, 3, 0]) << 16)], page + 4)
		} else if (command === G.GNTTABOP_map_grant_ref) u32.set([entry, 0, pick([0x12, 0x16, 0x13, 0x11, 0x1a]), ref, 1], page)
		else u32.set([entry, 0, 0, 0, random() % 4], page)
		return hypercallArgs(command, 0x1000, 1)
	}
	assert.equal(vcpu.mm.types.getPageAndType(PAGE_TABLE_MFN, TYPE_L1), 0)

	const held: MappedGrant[] = []
	let okays = 0
	for (let call = 0; call < CALLS; call++) {
		scribble()
		const directed = random() % 4 === 0
		const row = directed ? grantTableHypercall : pick(rows)
		const args = directed
			? plausible()
			: hypercallArgs(pick([() => random() % 16, number, address])(), address(), random() % 4, address(), number(), number())
		if (row === eventChannelCompatHypercall || row === physdevCompatHypercall) args.set(hypercallArgs(address()).subarray(0, 2))
		try {
			const result = row.handler?.(vcpu, args) as number
			assert.ok(Number.isInteger(result) && (Math.abs(result) <= LARGEST || result === HYPERCALL_PREEMPTED), `returned ${result}`)
			if (directed && args[0] === G.GNTTABOP_map_grant_ref && result === 0 && (u32[page + 4] as number) >>> 16 === 0) okays++
			if (random() % 8 === 0) {
				const mapped = mapGrant(domain, random() % 600, random() % 2 === 0)
				if (typeof mapped !== 'number') held.push(mapped)
			}
			if (held.length > 0 && random() % 8 === 0) unmapGrant(domain, held.splice(random() % held.length, 1)[0] as MappedGrant)
		} catch (error) {
			throw new Error(`call ${call} of seed ${seed}: ${row.name}(${[...args].map((word) => word.toString(16)).join(', ')})`, {
				cause: error,
			})
		}
	}
	for (const mapped of held) unmapGrant(domain, mapped)
	assert.ok(okays > 0, 'no grant was ever mapped')
	nothingIsLeft(vcpu)
}

/** Everything that can be given back is given back: what remains counted was leaked. */
function nothingIsLeft(vcpu: ReturnType<typeof testVcpu>): void {
	const { domain } = vcpu
	const { u32 } = domain.machine
	const mapping = (handle: number) => domain.at(domain.layout.maptrack + handle * MAPTRACK_SIZE) >>> 2
	let mappings = 0
	for (let handle = 0; handle < MAPTRACK_ENTRIES; handle++) if (u32[mapping(handle)] !== 0) mappings++
	let pins = 0
	for (let ref = 0; ref < 512; ref++) {
		const pin = u32[activeEntry(domain, ref) + ACT_PIN] as number
		pins += (pin & 0xff) + (pin >>> 8)
	}
	assert.equal(pins, mappings, 'a pin for each mapping')
	if (mappings === 0) for (let mfn = 0; mfn < FRAMES; mfn++) assert.ok(!isPinnedWritable(domain, mfn))
	for (let port = 1; port < validPorts(domain); port++) assert.ok(portField(domain, port, PORT_STATE) >= ECS_FREE)
}

test('hypercalls with arbitrary arguments never make the host throw, and leak no grants', () => {
	const seed = Number(process.env.XENOTYPE_SEED ?? Date.now() % 1_000_000)
	console.log(`hypercall fuzz: XENOTYPE_SEED=${seed}, ${CALLS} calls`)
	fuzz(seed)
})
