// Boots a kernel as a domain in this process, its console on stdout: node scripts/boot_domain.ts KERNEL [RAMDISK|-] [CMDLINE].
// The hypervisor's log goes to stderr. MEMORY (MiB), TIMEOUT (s, then registers are sampled and the domain destroyed).
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostClock } from '../src/platform/node/host_clock.ts'
import { regionCacheDirectory } from '../src/platform/node/region_cache.ts'
import { nodeVcpuThreads } from '../src/platform/node/vcpu_thread.ts'
import { checkConfig } from '../src/toolstack/config.ts'
import type { NamedConfig } from '../src/toolstack/domain_record.ts'
import { buildDomain } from '../src/toolstack/domain_steps.ts'
import { embeddedHost } from '../src/toolstack/embedded_host.ts'
import { CPU_ICOUNT, CPU_KERNEL_MODE, CPU_RIP } from '../src/x86/core/layout.ts'
import type { DomainControl } from '../src/xen/domain_control.ts'
import { hypercallCount, hypercallTable } from '../src/xen/hypercall_table.ts'
import { Hypervisor } from '../src/xen/hypervisor.ts'
import type { DomainEnd } from '../src/xenctrl/interface.ts'
import { buildCore } from './build_core.ts'

const [kernel, ramdisk = '-', extra = 'console=hvc0 earlyprintk=xen'] = process.argv.slice(2)
if (kernel === undefined) {
	console.error('usage: boot_domain.ts KERNEL [RAMDISK|-] [CMDLINE]')
	process.exit(2)
}
const memory_mib = Number(process.env.MEMORY ?? 256)
const timeout_s = Number(process.env.TIMEOUT ?? 120)

const core = await WebAssembly.compile(readFileSync(process.env.XENOTYPE_CORE ?? (await buildCore())))
const clockOrigin = process.hrtime()
const threads = nodeVcpuThreads(core, clockOrigin, {
	regionCache: process.env.XENOTYPE_CORE === undefined ? regionCacheDirectory() : undefined,
})
const hypervisor = new Hypervisor({
	clock: hostClock(clockOrigin),
	threads,
	onLog: (_, line) => process.stderr.write(line),
})
const host = embeddedHost(hypervisor, (path) => readFile(path).catch(() => undefined))
const { xen } = host
const started = performance.now()
const { config } = checkConfig({
	name: 'developer',
	uuid: crypto.randomUUID(),
	kernel,
	ramdisk: ramdisk === '-' ? '' : ramdisk,
	extra,
	memory: memory_mib,
})
const { domid } = await buildDomain(host, config as NamedConfig, Math.floor(Date.now() / 1000))
const terminal = await xen.openConsole(domid, {
	output: (bytes) => process.stdout.write(bytes) || true,
	lost: () => {},
	place: () => {},
	taken: () => {},
	inputSpace: () => {},
	closed: () => {},
})
terminal.resume()
process.stdin.on('data', (bytes: Uint8Array) => terminal.write(bytes))
const control = xen.control(domid) as DomainControl
const ended = new Promise<DomainEnd>((resolve) => xen.onEvent((event) => event.type === 'shutdown' && resolve(event.end)))
await xen.unpause(domid)

const timer = setTimeout(async () => {
	console.error(`no end after ${timeout_s} s`)
	for (let n = 0; n < 5; n++) await sample(control)
	await finish(3)
}, timeout_s * 1000)
const end = await ended
clearTimeout(timer)
console.error(`ended: ${end.reason} ${end.detail ?? ''}`)
await finish(end.reason === 'poweroff' ? 0 : 1)

async function sample(control: DomainControl): Promise<void> {
	await control.pause()
	const { machine } = control.domain
	const wide = (offset: number) => (machine.u64[(machine.vcpuState(0) + offset) / 8] as bigint).toString(16)
	const mode = machine.u32[(machine.vcpuState(0) + CPU_KERNEL_MODE) / 4] ? 'kernel' : 'user'
	console.error(`rip ${wide(CPU_RIP)} ${mode}, instructions 0x${wide(CPU_ICOUNT)}`)
	control.unpause()
	await new Promise((resolve) => setTimeout(resolve, 20))
}

async function finish(code: number): Promise<never> {
	const info = control.info()
	const { machine } = control.domain
	const instructions = Number(machine.u64[(machine.vcpuState(0) + CPU_ICOUNT) / 8])
	console.error(
		`${((performance.now() - started) / 1000).toFixed(1)} s, guest ran ${(info.cpuTime_ns / 1e9).toFixed(1)} s, ` +
			`${(instructions / 1e6).toFixed(0)} M instructions, ${((instructions / info.cpuTime_ns) * 1000).toFixed(0)} MIPS`,
	)
	const counts = hypercallTable.flatMap((row) => (row ? [{ name: row.name, count: hypercallCount(control.domain, row.number) }] : []))
	counts.sort((a, b) => b.count - a.count)
	console.error(
		counts
			.filter((row) => row.count > 0)
			.map((row) => `${row.name} ${row.count}`)
			.join(', '),
	)
	await xen.destroy(domid)
	await threads.close()
	process.exit(code)
}
