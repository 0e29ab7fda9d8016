import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../abi/grant_table.ts'
import { discard } from '../base/bytes.ts'
import { InternalError, UserError } from '../base/errors.ts'
import { buildDomain } from '../boot/domain_builder.ts'
import { ImageError } from '../boot/kernel/image_error.ts'
import { DomainRestorer } from '../migration/restore_domain.ts'
import { StreamError } from '../migration/stream_error.ts'
import { type ByteSource, StreamReader } from '../migration/stream_reader.ts'
import { ConsoleBackend } from '../pv/console/backend.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { DomainControl } from '../xen/domain_control.ts'
import { mapGrant } from '../xen/grant_backend.ts'
import { grantReserved } from '../xen/grant_entries.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { CONSOLE_LIMIT_BYTES, type DomainSpec, type RestoreSpec } from './interface.ts'

const DOM0 = 0
const KIB_PER_FRAME = PAGE_SIZE / 1024
/** A file's contents, in a buffer that becomes the builder's; undefined when there is none. Throws UserError when it can't be read. */
export type ReadImage = (path: string) => Promise<Uint8Array | undefined>

/** A saved domain's file; see LocalXenOptions.openFile. */
export interface InputFile extends ByteSource {
	close(): Promise<void>
}

export interface BuiltGuest {
	readonly control: DomainControl
	readonly console: ConsoleBackend
	readonly storeMfn: number
	readonly storePort: number
	readonly consoleMfn: number
	readonly consolePort: number
}

/** Makes a domain of a kernel and a ramdisk, with its first vCPU's thread started, paused. Throws UserError; leaves nothing then. */
export async function buildGuest(hypervisor: Hypervisor, readImage: ReadImage, spec: DomainSpec): Promise<BuiltGuest> {
	const kernel = await image(readImage, 'Kernel image', spec.kernel)
	const ramdisk = spec.ramdisk === undefined ? undefined : await image(readImage, 'Kernel ramdisk', spec.ramdisk)
	const control = await hypervisor.createDomain({
		uuid: spec.uuid,
		vcpus: spec.vcpus,
		memory_KiB: spec.memory_kib,
		maxMemory_KiB: spec.maxMemory_kib,
	})
	try {
		return finish(spec, control, kernel, ramdisk)
	} catch (error) {
		await control.destroy()
		if (error instanceof ImageError) throw new UserError(`${spec.kernel}: ${error.message}`, { code: error.code, cause: error })
		throw error
	}
}

function finish(spec: DomainSpec, control: DomainControl, kernel: Uint8Array, ramdisk: Uint8Array | undefined): BuiltGuest {
	const { machine, layout } = control.domain
	const ports = { storePort: control.allocUnboundPort(DOM0), consolePort: control.allocUnboundPort(DOM0) }
	const built = buildDomain({
		machine,
		kernel,
		ramdisk,
		commandLine: spec.commandLine,
		frames: spec.memory_kib / KIB_PER_FRAME,
		...ports,
		sharedInfoMfn: layout.sharedInfoMfn,
	})
	for (const image of [kernel, ramdisk]) if (image !== undefined) discard(image)
	const console = grantRings(control, { ...ports, ...built }, spec)
	const { entry, stackPointer, startInfoVa, l4Mfn, storeMfn, consoleMfn } = built
	control.start({ entry, stackPointer, startInfoVa, l4Mfn }, { translationCache: spec.translationCache ?? true })
	return { control, console, ...ports, storeMfn, consoleMfn }
}

/** Makes a domain of what it was saved as, with its first vCPU's thread started, paused. Throws UserError; leaves nothing then. */
export async function restoreGuest(hypervisor: Hypervisor, file: InputFile, spec: RestoreSpec): Promise<BuiltGuest> {
	const reader = new StreamReader(file)
	await reader.fileHeader()
	await reader.libxlHeader()
	const restorer = new DomainRestorer(reader, await reader.streamHeader())
	const control = await hypervisor.createDomain({
		uuid: spec.uuid,
		vcpus: spec.vcpus,
		memory_KiB: spec.maxMemory_kib,
		populated: false,
		domid: spec.domid,
	})
	try {
		const ports = { storePort: control.allocUnboundPort(DOM0), consolePort: control.allocUnboundPort(DOM0) }
		const { context, storeMfn, consoleMfn, systemTime_ns } = await restorer.restore(control.domain, ports)
		if (systemTime_ns > 0) control.setSystemTime(systemTime_ns)
		const console = grantRings(control, { ...ports, storeMfn, consoleMfn }, spec)
		control.start(context, { translationCache: spec.translationCache ?? true })
		const refusal = await control.started()
		if (refusal !== undefined) throw new StreamError(refusal)
		return { control, console, ...ports, storeMfn, consoleMfn }
	} catch (error) {
		await control.destroy()
		throw error
	}
}

async function image(readImage: ReadImage, what: string, path: string): Promise<Uint8Array> {
	const data = await readImage(path)
	if (data === undefined) throw new UserError(`${what} does not exist: ${path}`, { code: 'no-image' })
	return data
}

/** Grants dom0 the frames of both rings, and serves the console's. */
function grantRings(
	control: DomainControl,
	{ consoleMfn, storeMfn, consolePort }: Pick<BuiltGuest, 'consoleMfn' | 'storeMfn' | 'consolePort'>,
	{ consoleLimit_bytes = CONSOLE_LIMIT_BYTES }: Pick<DomainSpec, 'consoleLimit_bytes'>,
): ConsoleBackend {
	grantReserved(control.domain, GNTTAB_RESERVED_CONSOLE, DOM0, consoleMfn)
	grantReserved(control.domain, GNTTAB_RESERVED_XENSTORE, DOM0, storeMfn)
	return serveConsole(control, consolePort, consoleLimit_bytes)
}

function serveConsole(control: DomainControl, port: number, history_bytes: number): ConsoleBackend {
	// Mapped for as long as the domain lives.
	const ring = mapGrant(control.domain, GNTTAB_RESERVED_CONSOLE, false)
	if (typeof ring === 'number') throw new InternalError(`the console's grant of domain ${control.domid} cannot be mapped: ${ring}`)
	const channel = { page: control.domain.machine.framePage(ring.mfn), notify: () => bound?.notify() }
	const console = new ConsoleBackend(channel, { history_bytes })
	const bound = control.bindPort(port, () => console.onEvent())
	return console
}
