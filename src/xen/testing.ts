/** Domains without a processor, for unit tests: hypercall handlers see frame `n` at address n * 4096 (identity mapping). */
import { shared_info, vcpu_info } from '../abi/xen.ts'
import { ACCESS_WRITE, CPU_KERNEL_MODE, FRAME_ABSENT, FRAME_HOOK } from '../x86/core/layout.ts'
import { type CoreExports, Cpu } from '../x86/cpu.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import { Domain } from './domain.ts'
import { initialiseEvents } from './event_ports.ts'
import { initialiseGrants } from './grant_entries.ts'
import type { DomainDescription } from './machine_layout.ts'
import { initialisePageInfo } from './mm/page_info.ts'
import { VcpuContext, type VcpuHost } from './vcpu.ts'
import { VS_VCPU_INFO, vcpuWord } from './vcpu_shared.ts'
import type { PreparedThread, VcpuThreads } from './vcpu_threads.ts'

/** A domain of `frames` frames of RAM whose event channels, grants and page info are set up as the hypervisor does it. */
export function testDomain(overrides: Partial<DomainDescription> = {}): Domain {
	const domain = new Domain({
		domid: 1,
		uuid: '00112233-4455-6677-8899-aabbccddeeff',
		vcpus: 1,
		maxFrames: 256,
		maxPorts: 1024,
		maxGrantFrames: 4,
		...overrides,
	})
	const sharedInfo = domain.machine.frameAddress(domain.layout.sharedInfoMfn)
	for (let vcpu = 0; vcpu < domain.description.vcpus; vcpu++) {
		const info = sharedInfo + shared_info.at.vcpu_info + vcpu * vcpu_info.size
		Atomics.store(domain.machine.u32, vcpuWord(domain, vcpu, VS_VCPU_INFO), info)
	}
	initialisePageInfo(domain, domain.description.maxFrames)
	initialiseEvents(domain)
	initialiseGrants(domain)
	return domain
}

export interface TestVcpuOptions {
	/** Replaces what the stand-in for the processor does. */
	readonly core?: Partial<CoreExports>
	readonly now_ns?: () => number
	readonly onShutdown?: (reason: number, crashReason?: string) => void
}

/** A vCPU in kernel mode, whose log lines are kept and whose addresses outside the domain's RAM fault. */
export function testVcpu(domain: Domain, index = 0, options: TestVcpuOptions = {}): VcpuContext & { readonly lines: string[] } {
	const lines: string[] = []
	const host: VcpuHost = {
		log: (_, message) => void lines.push(message),
		emergencyConsole: (bytes) => void lines.push(new TextDecoder().decode(bytes)),
		random32: () => 0,
		report: (given) => void lines.push(...given),
		shutdown: (reason, crashReason) => options.onShutdown?.(reason, crashReason),
	}
	const core = {
		translate: (va: number, access: number) => {
			if (va < 0 || va >= domain.layout.ramFrames * PAGE_SIZE) return -1
			const attributes = domain.machine.u8[domain.machine.attributeAddress(Math.floor(va / PAGE_SIZE))] as number
			const refused = access === ACCESS_WRITE ? FRAME_ABSENT | FRAME_HOOK : FRAME_ABSENT
			return attributes & refused ? -1 : domain.machine.frameBase + va
		},
		setKernelMode: (kernel: number) => cpu.setField(CPU_KERNEL_MODE, kernel),
		flushTlb() {},
		flushWriteTlb() {},
		flushStale() {},
		forgetRoot() {},
		flushPage() {},
		invalidateFrame() {},
		...options.core,
	} as unknown as CoreExports
	const cpu = new Cpu(domain.machine, index, core)
	cpu.setKernelMode(true)
	const clock = { monotonic_ns: options.now_ns ?? (() => 0), wall: () => ({ seconds: 0, nanoseconds: 0 }) }
	return Object.assign(new VcpuContext(domain, index, cpu, clock, host), { lines })
}

/** The six arguments of a hypercall from numbers (missing ones are 0). */
export function hypercallArgs(...values: number[]): Uint32Array {
	const args = new Uint32Array(12)
	for (const [n, value] of values.entries()) {
		args[n * 2] = value
		args[n * 2 + 1] = Math.floor(value / 4294967296)
	}
	return args
}

/** Threads that are there once they are started. */
export function threadsStartedBy(start: PreparedThread['start']): VcpuThreads {
	return { prepare: () => ({ start, discard() {} }) }
}
