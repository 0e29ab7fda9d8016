import type { Clock } from '../base/clock.ts'
import { Cpu } from '../x86/cpu.ts'
import { Domain } from './domain.ts'
import { shiftedClock } from './time.ts'
import { DomainCrashed, VcpuContext, type VcpuHost } from './vcpu.ts'
import { crashDomain, runVcpu } from './vcpu_loop.ts'
import { cpuHost, startVcpu } from './vcpu_start.ts'
import type { VcpuStart } from './vcpu_threads.ts'

/**
 * What a vCPU's thread does, on whatever platform: rebuilds the domain over its memory, starts the vCPU and runs it until the
 * domain is destroyed. Throws only for our own bugs. `core` is the compiled processor.
 */
export function vcpuThread(request: VcpuStart, core: WebAssembly.Module, clock: Clock, host: VcpuHost): void {
	const domain = new Domain(request.domain, request.memory)
	let vcpu: VcpuContext | undefined
	const cpu = Cpu.instantiate(
		domain.machine,
		request.vcpu,
		core,
		cpuHost(() => vcpu as VcpuContext),
	)
	vcpu = new VcpuContext(domain, request.vcpu, cpu, shiftedClock(clock, request.timeOffset_ns ?? 0), host)
	try {
		startVcpu(vcpu, request.context)
	} catch (error) {
		if (!(error instanceof DomainCrashed)) throw error
		crashDomain(vcpu, error.message)
	}
	runVcpu(vcpu)
}
