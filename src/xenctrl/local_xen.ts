import { UserError } from '../base/errors.ts'
import { savedDomain } from '../migration/save_domain.ts'
import { CannotSave, StreamError } from '../migration/stream_error.ts'
import { StreamReader } from '../migration/stream_reader.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { DomainControl } from '../xen/domain_control.ts'
import { coreFile } from '../xen/dump_core.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { shutdownReasonName } from '../xen/shutdown.ts'
import { ConsoleReading, Typists } from './console_reading.ts'
import { type BuiltGuest, buildGuest, type InputFile, type ReadImage, restoreGuest } from './guest_builder.ts'
import {
	type ConsoleReader,
	type ConsoleSession,
	type DomainEnd,
	type DomainRef,
	type DomainSpec,
	type DomainState,
	NoDomain,
	type RestoreSpec,
	type ShutdownReason,
	type Trigger,
	type XenControl,
	type XenEvent,
	type XenInfo,
} from './interface.ts'
import { KeptConsoles } from './kept_consoles.ts'

const KIB_PER_FRAME = PAGE_SIZE / 1024

/** A file that is being written; nobody sees it before finish(). */
export interface OutputFile {
	write(bytes: Uint8Array): Promise<void>
	/** `durable`: it survives the host from then on. */
	finish(options?: { readonly durable?: boolean }): Promise<void>
	abandon(): Promise<void>
}

/** do_domctl's answers to triggers that a paravirtual domain has no use for, as xend quoted them. */
const TRIGGER_REFUSALS: Readonly<Record<Trigger, string | undefined>> = {
	nmi: undefined,
	reset: "(38, 'Function not implemented')",
	init: "(38, 'Function not implemented')",
	power: "(22, 'Invalid argument')",
	s3resume: "(22, 'Invalid argument')",
}

export interface LocalXenOptions {
	readonly hypervisor: Hypervisor
	readonly readImage: ReadImage
	readonly bootId: string
	/** 0 where there are no processes. */
	readonly pid?: number
	readonly dom0Time_s?: () => number
	/** Where there are files. Throws UserError when it can't be made. */
	readonly createFile?: (path: string) => Promise<OutputFile>
	/** Where there are files. Throws UserError when it can't be read. */
	readonly openFile?: (path: string) => Promise<InputFile>
	/** Throws UserError when no domain can be started here any more. */
	readonly checkStart?: () => void
	/** Called when the last domain is gone and stopIfIdle() was asked for. */
	readonly stop?: () => void
}

interface LiveDomain extends BuiltGuest {
	uuid: string
	readonly vcpus: number
	paused: boolean
	end: DomainEnd | undefined
	death: Promise<void> | undefined
}

/** Writes all pieces to the file, or leaves none. Returns its size. */
async function writeFile(file: OutputFile, pieces: Iterable<Uint8Array>, options: { readonly durable: boolean }): Promise<number> {
	try {
		let size_bytes = 0
		for (const piece of pieces) {
			await file.write(piece)
			size_bytes += piece.length
		}
		await file.finish(options)
		return size_bytes
	} catch (error) {
		await file.abandon()
		throw error
	}
}

/** The hypervisor of this process. */
export class LocalXen implements XenControl {
	private readonly options: LocalXenOptions
	private readonly live = new Map<number, LiveDomain>()
	/** Being built, by uuid. */
	private readonly building = new Map<string, Promise<LiveDomain>>()
	private readonly kept = new KeptConsoles()
	private readonly typists = new Typists()
	private readonly listeners = new Set<(event: XenEvent) => void>()

	constructor(options: LocalXenOptions) {
		this.options = options
	}

	/** For what must touch the domain itself: dom0's backends, and tools of the developer. */
	control(domid: number): DomainControl | undefined {
		return this.live.get(domid)?.control
	}

	async info(): Promise<XenInfo> {
		const { hypervisor, bootId, pid = 0, dom0Time_s = () => 0 } = this.options
		return { ...hypervisor.info(), bootId, pid, dom0Time_s: dom0Time_s() }
	}

	createDomain(spec: DomainSpec): Promise<DomainState> {
		const { hypervisor, readImage } = this.options
		return this.make(spec, () => buildGuest(hypervisor, readImage, spec))
	}

	restoreDomain(spec: RestoreSpec): Promise<DomainState> {
		return this.make(spec, () => this.reading(spec.path, (file) => restoreGuest(this.options.hypervisor, file, spec)))
	}

	savedConfig(path: string): Promise<string> {
		return this.reading(path, (file) => new StreamReader(file).fileHeader())
	}

	/** What is wrong with the file is told with its name. */
	private async reading<T>(path: string, work: (file: InputFile) => Promise<T>): Promise<T> {
		const file = await this.openFile(path)
		try {
			return await work(file)
		} catch (error) {
			if (!(error instanceof StreamError)) throw error
			throw new UserError(`${path} cannot be restored: ${error.message}`, { code: error.code, cause: error })
		} finally {
			await file.close()
		}
	}

	private async make(spec: Pick<DomainSpec, 'uuid' | 'vcpus'>, build: () => Promise<BuiltGuest>): Promise<DomainState> {
		const present = this.building.get(spec.uuid) ?? this.lookUp(spec.uuid)
		if (present !== undefined) return this.state(await present)
		this.options.checkStart?.()
		const built = this.build(spec, build)
		this.building.set(spec.uuid, built)
		try {
			return this.state(await built)
		} finally {
			this.building.delete(spec.uuid)
		}
	}

	async domains(): Promise<DomainState[]> {
		return [...this.live.values()].sort((a, b) => a.control.domid - b.control.domid).map((domain) => this.state(domain))
	}

	async pause(ref: DomainRef): Promise<void> {
		const domain = this.find(ref)
		if (domain.paused) return
		domain.paused = true
		await domain.control.pause()
	}

	async unpause(ref: DomainRef): Promise<void> {
		const domain = this.find(ref)
		if (!domain.paused) return
		domain.paused = false
		domain.control.unpause()
	}

	async destroy(ref: DomainRef): Promise<number | null> {
		if (typeof ref === 'string') await this.building.get(ref)?.catch(() => {})
		const domain = this.lookUp(ref)
		if (domain === undefined) return null
		domain.death ??= this.die(domain)
		await domain.death
		return domain.control.domid
	}

	async setUuid(ref: DomainRef, uuid: string): Promise<void> {
		const domain = this.find(ref)
		const other = this.lookUp(uuid)
		if (other !== undefined && other !== domain) throw new UserError(`domain ${other.control.domid} has the uuid ${uuid} already`)
		domain.uuid = uuid
	}

	async setMaxMemory(ref: DomainRef, kib: number): Promise<void> {
		const { control } = this.find(ref)
		const frames = Math.floor(kib / KIB_PER_FRAME)
		const most = control.domain.layout.ramFrames
		if (frames > most) {
			const text = `a running domain's memory can't grow beyond what its machine was made with, ${(most * KIB_PER_FRAME) / 1024} MiB`
			throw new UserError(`${text}: ${Math.round(kib / 1024)} MiB are possible when it is started anew`, { code: 'too-large' })
		}
		control.setFrameLimit(frames)
	}

	async sendTrigger(ref: DomainRef, trigger: Trigger, vcpu: number): Promise<void> {
		const { control, vcpus } = this.find(ref)
		if (!Number.isInteger(vcpu) || vcpu < 0 || vcpu >= vcpus) throw new UserError(`(3, 'No such process'): the domain has no VCPU ${vcpu}`)
		const refusal = TRIGGER_REFUSALS[trigger]
		if (refusal !== undefined) throw new UserError(`${refusal}: the trigger '${trigger}' is not for paravirtual domains`)
		control.sendNmi(vcpu)
	}

	async dumpCore(ref: DomainRef, path: string, live: boolean): Promise<number> {
		const { control } = this.find(ref)
		if (!live) await control.pause()
		try {
			const vcpu = await control.vcpuState()
			if (vcpu === undefined) {
				const why = `domain ${control.domid} has no core: its VCPU 0 does not tell its registers (xm dmesg may say why)`
				throw new UserError(`${why}; nothing was written to ${path}`, { code: 'cannot-dump' })
			}
			return await writeFile(await this.createFile(path), coreFile(control.domain, [vcpu.basic]), { durable: false })
		} finally {
			if (!live) control.unpause()
		}
	}

	async saveDomain(ref: DomainRef, path: string, config: string): Promise<number> {
		const { control, end } = this.find(ref)
		if (end?.reason !== 'suspend') throw new UserError(`domain ${control.domid} is not suspended`, { code: 'not-suspended' })
		// Nobody resumes it meanwhile.
		await control.pause()
		try {
			const vcpu = await control.vcpuState()
			if (vcpu === undefined)
				throw new UserError(`domain ${control.domid} cannot be saved: its vCPU does not answer`, { code: 'cannot-save' })
			return await writeFile(await this.createFile(path), savedDomain(control.domain, vcpu, config, control.systemTime_ns), {
				durable: true,
			})
		} catch (error) {
			if (!(error instanceof CannotSave)) throw error
			throw new UserError(`domain ${control.domid} cannot be saved: ${error.message}`, { code: error.code, cause: error })
		} finally {
			control.unpause()
		}
	}

	async resumeDomain(ref: DomainRef): Promise<boolean> {
		const domain = this.find(ref)
		if (domain.end?.reason !== 'suspend' || !(await domain.control.resume())) return false
		domain.end = undefined
		return true
	}

	private createFile(path: string): Promise<OutputFile> {
		const { createFile } = this.options
		if (createFile === undefined) throw new UserError(`${path} cannot be written: this hypervisor has no files`, { code: 'no-files' })
		return createFile(path)
	}

	private openFile(path: string): Promise<InputFile> {
		const { openFile } = this.options
		if (openFile === undefined) throw new UserError(`${path} cannot be read: this hypervisor has no files`, { code: 'no-files' })
		return openFile(path)
	}

	async openConsole(domid: number, reader: ConsoleReader, from = 0, typist?: string): Promise<ConsoleSession> {
		const console = this.live.get(domid)?.console ?? this.kept.get(domid)
		if (console === undefined) throw new NoDomain(domid)
		return new ConsoleReading(console, reader, from, typist === undefined ? undefined : this.typists.of(console, typist))
	}

	async log(clear: boolean): Promise<string> {
		const { log } = this.options.hypervisor
		const text = log.read()
		if (clear) log.clear()
		return text
	}

	debugKeys(keys: string): Promise<void> {
		return this.options.hypervisor.debugKeys(keys)
	}

	onEvent(listener: (event: XenEvent) => void): () => void {
		this.listeners.add(listener)
		return () => this.listeners.delete(listener)
	}

	async stopIfIdle(): Promise<boolean> {
		if (!this.idle) return false
		this.options.stop?.()
		return true
	}

	get idle(): boolean {
		return this.live.size === 0 && this.building.size === 0
	}

	/** Destroys every domain. */
	async close(): Promise<void> {
		await Promise.allSettled(this.building.values())
		await Promise.all([...this.live.keys()].map((domid) => this.destroy(domid)))
	}

	private async build(spec: Pick<DomainSpec, 'uuid' | 'vcpus'>, build: () => Promise<BuiltGuest>): Promise<LiveDomain> {
		const guest = await build()
		const domain: LiveDomain = { ...guest, uuid: spec.uuid, vcpus: spec.vcpus, paused: true, end: undefined, death: undefined }
		const { control, console } = domain
		this.live.set(control.domid, domain)
		control.onShutdown((reason, detail) => {
			console.onEvent()
			domain.end = { reason: (shutdownReasonName[reason] ?? 'crash') as ShutdownReason, detail }
			this.emit({ type: 'shutdown', domid: control.domid, uuid: domain.uuid, end: domain.end })
		})
		return domain
	}

	private async die(domain: LiveDomain): Promise<void> {
		const { control, console } = domain
		await control.destroy()
		console.disconnect()
		this.live.delete(control.domid)
		this.kept.keep(control.domid, console)
		this.emit({ type: 'destroyed', domid: control.domid, uuid: domain.uuid })
	}

	private state({ control, uuid, vcpus, end, storeMfn, storePort, consoleMfn, consolePort }: LiveDomain): DomainState {
		const { running, blocked, paused, shutdown, crashed, dying, cpuTime_ns, currentFrames, maxFrames, onlineVcpus, vcpuStates } =
			control.info()
		const flags = { running, blocked, paused, shutdown, crashed, dying }
		return {
			domid: control.domid,
			uuid,
			...flags,
			end,
			cpuTime_s: cpuTime_ns / 1e9,
			memory_kib: currentFrames * KIB_PER_FRAME,
			maxMemory_kib: maxFrames * KIB_PER_FRAME,
			vcpus,
			// The first processor is online from the start, in Xen's terms; here its thread must come up first.
			onlineVcpus: Math.max(1, onlineVcpus),
			vcpuStates: vcpuStates.map(({ cpuTime_ns, online, ...vcpu }, n) => ({
				...vcpu,
				online: online || n === 0,
				cpuTime_s: cpuTime_ns / 1e9,
			})),
			storeMfn,
			storePort,
			consoleMfn,
			consolePort,
		}
	}

	private find(ref: DomainRef): LiveDomain {
		const domain = this.lookUp(ref)
		if (domain === undefined) throw new NoDomain(ref)
		return domain
	}

	private lookUp(ref: DomainRef): LiveDomain | undefined {
		if (typeof ref === 'number') return this.live.get(ref)
		return [...this.live.values()].find((domain) => domain.uuid === ref)
	}

	private emit(event: XenEvent): void {
		for (const listener of [...this.listeners]) listener(event)
	}
}
