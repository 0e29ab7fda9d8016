import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../abi/grant_table.ts'
import { discard } from '../base/bytes.ts'
import { InternalError, UserError } from '../base/errors.ts'
import { type BuiltDomain, buildDomain } from '../boot/domain_builder.ts'
import { ImageError } from '../boot/kernel/image_error.ts'
import { ConsoleBackend } from '../pv/console/backend.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { DomainControl } from '../xen/domain_control.ts'
import { mapGrant, unmapGrant } from '../xen/grant_backend.ts'
import { grantReserved } from '../xen/grant_entries.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { shutdownReasonName } from '../xen/shutdown.ts'
import { connectInProcess, type XenstoreClient } from '../xenstore/client.ts'
import type { RingHost } from '../xenstore/domains.ts'
import { XenstoreServer } from '../xenstore/server.ts'
import { commandLine, type DomainConfig } from './config.ts'
import type { DomainEnd, DomainFactory, DomainHandle, DomainStatus, ShutdownReason, ShutdownRequest } from './domain_handle.ts'
import { removeDomainTree, writeDom0Tree, writeDomainTree } from './xenstore_tree.ts'

const DOM0 = 0
const KIB_PER_FRAME = PAGE_SIZE / 1024
const CONSOLE_LIMIT_BYTES = 1024 * 1024

type NamedConfig = DomainConfig & { readonly uuid: string }

export interface DomainFactoryOptions {
	readonly hypervisor: Hypervisor
	/** A file's contents, in a buffer that becomes the factory's; undefined when there is none. Throws UserError when it can't be read. */
	readonly readFile: (path: string) => Promise<Uint8Array | undefined>
	readonly dom0Memory_kib: number
	/** Since 1970. */
	readonly now_s: () => number
}

/** Makes domains as xend does: builds the image, writes the XenStore nodes, serves store and console over their rings. */
export class XenDomainFactory implements DomainFactory {
	readonly store: XenstoreServer
	private readonly options: DomainFactoryOptions
	private readonly client: XenstoreClient

	private constructor(options: DomainFactoryOptions) {
		this.options = options
		this.store = new XenstoreServer({ ringHost: ringHost(options.hypervisor) })
		this.client = connectInProcess(this.store)
	}

	static async open(options: DomainFactoryOptions): Promise<XenDomainFactory> {
		const factory = new XenDomainFactory(options)
		await writeDom0Tree(factory.client, { memory_kib: options.dom0Memory_kib })
		return factory
	}

	async create(config: NamedConfig): Promise<DomainHandle> {
		const kernel = await this.image('Kernel image', config.kernel)
		const ramdisk = config.ramdisk === undefined ? undefined : await this.image('Kernel ramdisk', config.ramdisk)
		const memory_KiB = config.memory_mib * 1024
		const { hypervisor } = this.options
		const control = await hypervisor.createDomain({
			uuid: config.uuid,
			vcpus: config.vcpus,
			memory_KiB,
			maxMemory_KiB: config.maxmem_mib * 1024,
		})
		try {
			return await this.finish(config, control, kernel, ramdisk)
		} catch (error) {
			this.store.domains.gone(control.domid)
			await control.destroy()
			await removeDomainTree(this.client, { domid: control.domid, uuid: config.uuid })
			if (error instanceof ImageError) throw new UserError(`${config.kernel}: ${error.message}`, { code: error.code, cause: error })
			throw error
		}
	}

	private async finish(
		config: NamedConfig,
		control: DomainControl,
		kernel: Uint8Array,
		ramdisk: Uint8Array | undefined,
	): Promise<DomainHandle> {
		const { machine, layout } = control.domain
		const ports = { storePort: control.allocUnboundPort(0), consolePort: control.allocUnboundPort(0) }
		const built = buildDomain({
			machine,
			kernel,
			ramdisk,
			commandLine: commandLine(config),
			frames: (config.memory_mib * 1024) / KIB_PER_FRAME,
			...ports,
			sharedInfoMfn: layout.sharedInfoMfn,
		})
		for (const image of [kernel, ramdisk]) if (image !== undefined) discard(image)
		grantReserved(control.domain, GNTTAB_RESERVED_CONSOLE, DOM0, built.consoleMfn)
		grantReserved(control.domain, GNTTAB_RESERVED_XENSTORE, DOM0, built.storeMfn)
		const console = serveConsole(control, ports.consolePort)
		await this.writeNodes(config, control.domid, built, ports)
		await this.client.introduceDomain(control.domid, built.storeMfn, ports.storePort)
		const { entry, stackPointer, startInfoVa, l4Mfn } = built
		control.start({ entry, stackPointer, startInfoVa, l4Mfn })
		return new XenDomain(config, control, console, built, this.store, this.client)
	}

	private async image(what: string, path: string): Promise<Uint8Array> {
		const data = await this.options.readFile(path)
		if (data === undefined) throw new UserError(`${what} does not exist: ${path}`, { code: 'no-image' })
		return data
	}

	private writeNodes(
		config: NamedConfig,
		domid: number,
		built: BuiltDomain,
		ports: { storePort: number; consolePort: number },
	): Promise<void> {
		return writeDomainTree(this.client, {
			domid,
			uuid: config.uuid,
			name: config.name,
			memory_kib: config.memory_mib * 1024,
			maxMemory_kib: config.maxmem_mib * 1024,
			vcpusOnline: Array.from({ length: config.vcpus }, () => true),
			...ports,
			storeMfn: built.storeMfn,
			consoleMfn: built.consoleMfn,
			consoleLimit_bytes: CONSOLE_LIMIT_BYTES,
			consoleTty: '',
			kernel: config.kernel,
			ramdisk: config.ramdisk,
			cmdline: commandLine(config) || undefined,
			startTime_s: this.options.now_s(),
		})
	}
}

/** xenstored's way to the guests' rings: the page that the builder has granted it, whatever frame the introduction names. */
function ringHost(hypervisor: Hypervisor): RingHost {
	return {
		openRing(domid, _mfn, port, onEvent) {
			const control = hypervisor.domain(domid)
			if (control === undefined) return undefined
			const ring = mapGrant(control.domain, GNTTAB_RESERVED_XENSTORE, false)
			if (typeof ring === 'number') return undefined
			const bound = control.bindPort(port, onEvent)
			if (bound === undefined) {
				unmapGrant(control.domain, ring)
				return undefined
			}
			const close = () => {
				bound.close()
				unmapGrant(control.domain, ring)
			}
			return { page: control.domain.machine.framePage(ring.mfn), notify: () => bound.notify(), close }
		},
	}
}

function serveConsole(control: DomainControl, port: number): ConsoleBackend {
	// Mapped for as long as the domain lives.
	const ring = mapGrant(control.domain, GNTTAB_RESERVED_CONSOLE, false)
	if (typeof ring === 'number') throw new InternalError(`the console's grant of domain ${control.domid} cannot be mapped: ${ring}`)
	const channel = { page: control.domain.machine.framePage(ring.mfn), notify: () => bound?.notify() }
	const console = new ConsoleBackend(channel, { history_bytes: CONSOLE_LIMIT_BYTES })
	const bound = control.bindPort(port, () => console.onEvent())
	return console
}

class XenDomain implements DomainHandle {
	readonly console: ConsoleBackend
	readonly storeMfn: number
	readonly consoleMfn: number
	readonly ended: Promise<DomainEnd>
	private readonly control: DomainControl
	private readonly store: XenstoreServer
	private readonly client: XenstoreClient
	private uuid: string
	private paused = true
	private death: Promise<void> | undefined

	constructor(
		config: NamedConfig,
		control: DomainControl,
		console: ConsoleBackend,
		built: BuiltDomain,
		store: XenstoreServer,
		client: XenstoreClient,
	) {
		this.console = console
		this.storeMfn = built.storeMfn
		this.consoleMfn = built.consoleMfn
		this.control = control
		this.store = store
		this.client = client
		this.uuid = config.uuid
		this.ended = new Promise((resolve) => {
			control.onShutdown((reason, detail) => {
				console.onEvent()
				store.domains.shutDown(control.domid)
				resolve({ reason: (shutdownReasonName[reason] ?? 'crash') as ShutdownReason, detail })
			})
		})
	}

	get domid(): number {
		return this.control.domid
	}

	status(): DomainStatus {
		const info = this.control.info()
		// The first processor is online from the start, in Xen's terms; here its thread must come up first.
		return {
			...info,
			cpuTime_s: info.cpuTime_ns / 1e9,
			memory_kib: info.currentFrames * KIB_PER_FRAME,
			onlineVcpus: Math.max(1, info.onlineVcpus),
		}
	}

	async pause(): Promise<void> {
		if (this.paused) return
		this.paused = true
		await this.control.pause()
	}

	unpause(): void {
		if (!this.paused) return
		this.paused = false
		this.control.unpause()
	}

	async requestShutdown(request: ShutdownRequest): Promise<void> {
		await this.client.write(`/local/domain/${this.domid}/control/shutdown`, request)
	}

	async rename(name: string, uuid: string): Promise<void> {
		const old = `/vm/${this.uuid}`
		this.uuid = uuid
		await this.client.transaction(async (nodes) => {
			await nodes.rm(old)
			await nodes.write(`/vm/${uuid}/name`, name)
			await nodes.write(`/vm/${uuid}/uuid`, uuid)
			await nodes.write(`/local/domain/${this.domid}/name`, name)
			await nodes.write(`/local/domain/${this.domid}/vm`, `/vm/${uuid}`)
		})
	}

	destroy(): Promise<void> {
		this.death ??= this.die()
		return this.death
	}

	private async die(): Promise<void> {
		await this.control.destroy()
		this.console.disconnect()
		this.store.domains.gone(this.domid)
		await removeDomainTree(this.client, { domid: this.domid, uuid: this.uuid })
	}
}
