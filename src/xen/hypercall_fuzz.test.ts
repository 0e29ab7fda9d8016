/**
 * Random hypercalls of a guest that means harm, with structures of random content: whatever the answers are, nothing may throw
 * but the crash of the domain itself. XENOTYPE_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HYPERVISOR_VIRT_START, vcpu_info } from '../abi/xen.ts'
import { ACCESS_WRITE, CPU_ATTENTION } from '../x86/core/layout.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { dispatch, hypercallTable } from './hypercall_table.ts'
import { deliverPending } from './inject.ts'
import { initialiseMemory } from './mm/memory.ts'
import { TYPE_WRITABLE } from './mm/page_info.ts'
import { testDomain, testVcpu } from './testing.ts'
import { DomainCrashed } from './vcpu.ts'

const NIGHTLY = process.env.XENOTYPE_NIGHTLY === '1'
const CALLS = NIGHTLY ? 1_000_000 : 30_000
const SEED = Number(process.env.XENOTYPE_SEED ?? (NIGHTLY ? Date.now() % 2 ** 31 : 20))
/** Calls that one domain survives at most; then a fresh one. */
const CALLS_PER_DOMAIN = 3000
const FRAMES = 256
/** An empty table, which is a valid L4. */
const L4 = FRAMES - 1

/** xorshift32. */
function generator(seed: number): () => number {
	let state = seed | 1
	return () => {
		state ^= state << 13
		state ^= state >>> 17
		state ^= state << 5
		return state >>> 0
	}
}

test(`no hypercall makes the host throw (seed ${SEED})`, () => {
	const random = generator(SEED)
	const below = (limit: number) => random() % limit
	const pick = <T>(values: readonly T[]): T => values[below(values.length)] as T
	const numbers = hypercallTable.flatMap((row) => (row ? [row.number] : []))
	/** Small numbers, addresses in RAM, at its edges and beyond, domids, and plain noise. */
	const value = (): number =>
		pick([
			() => below(40),
			() => below(40),
			() => below(FRAMES * PAGE_SIZE),
			() => below(FRAMES) * PAGE_SIZE,
			() => FRAMES * PAGE_SIZE - below(128),
			() => below(FRAMES + 80),
			() => 0x7ff0 + below(6),
			() => pick([0, -1, 2 ** 32 - 1, 2 ** 31, 2 ** 40, 2 ** 47, -(2 ** 47), HYPERVISOR_VIRT_START, 2 ** 63]),
			() => random(),
		])()
	const word = (n: number, args: Uint32Array, what: number) => {
		args[n * 2] = what
		args[n * 2 + 1] = Math.floor(what / 4294967296)
	}
	let crashes = 0
	for (let done = 0; done < CALLS; ) {
		const domain = testDomain({ maxFrames: FRAMES })
		initialiseMemory(domain, FRAMES)
		let now = 0
		const vcpu = testVcpu(domain, 0, {
			now_ns: () => now,
			core: {
				translate: (va: number, access: number) => (reachable(va, access) ? domain.machine.frameBase + va : -1),
				setKernelRoot() {},
				setUserRoot() {},
				loadSegment: () => below(2),
				loadCodeSegment: () => below(2),
			},
		})
		const { types } = vcpu.mm
		const attention = (vcpu.cpu.state + CPU_ATTENTION) >>> 2
		/** As if all of RAM were mapped, but for what may not be mapped so: page tables and descriptors writable, free frames. */
		const reachable = (va: number, access: number) => {
			const mfn = Math.floor(va / PAGE_SIZE)
			if (!(mfn >= 0 && mfn < FRAMES) || !types.isOwned(mfn)) return false
			return access !== ACCESS_WRITE || types.typeCount(mfn) === 0 || types.type(mfn) === TYPE_WRITABLE
		}
		assert.equal(vcpu.mm.adoptInitialTables(L4), 0)
		const memory = domain.machine.u32.subarray(domain.machine.frameBase / 4, (domain.machine.frameBase + FRAMES * PAGE_SIZE) / 4)
		try {
			for (let n = 0; n < CALLS_PER_DOMAIN && done < CALLS; n++, done++) {
				const args = new Uint32Array(12)
				for (let arg = 0; arg < 6; arg++) word(arg, args, value())
				// Something for the arguments to point at.
				for (let filled = 0; filled < 12; filled++) {
					const at = args[below(6) * 2] as number
					const target = at + below(16) * 4
					if (reachable(target, ACCESS_WRITE)) memory[target >>> 2] = value()
				}
				now += below(1_000_000)
				// Long lists stop at their first look for other work, mostly.
				domain.machine.u32[attention] = below(16) === 0 ? 0 : 1
				const number = below(50) === 0 ? below(100) : pick(numbers)
				const result = dispatch(vcpu, number, args)
				assert.ok(Number.isInteger(result), `hypercall ${number} returned ${result}`)
				vcpu.timers.fire(now)
				vcpu.blocked = false
				domain.machine.u8[vcpu.vcpuInfo + vcpu_info.at.evtchn_upcall_mask] = below(2)
				if (below(20) === 0) deliverPending(vcpu)
			}
		} catch (error) {
			if (!(error instanceof DomainCrashed)) throw error
			crashes++
			done++
		}
	}
	assert.ok(crashes < CALLS / 2, 'the domains crash too soon to test anything')
})
