import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../abi/grant_table.ts'
import { discard } from '../base/bytes.ts'
import { InternalError, UserError } from '../base/errors.ts'
import { buildDomain } from '../boot/domain_builder.ts'
import { ImageError } from '../boot/kernel/image_error.ts'
import { ConsoleBackend } from '../pv/console/backend.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'
import type { DomainControl } from '../xen/domain_control.ts'
import { mapGrant } from '../xen/grant_backend.ts'
import { grantReserved } from '../xen/grant_entries.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { CONSOLE_LIMIT_BYTES, type DomainSpec } from './interface.ts'

const DOM0 = 0
const KIB_PER_FRAME = PAGE_SIZE / 1024
/** A file's contents, in a buffer that becomes the builder's; undefined when there is none. Throws UserError when it can't be read. */
export type ReadImage = (path: string) => Promise<Uint8Array | undefined>

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
	grantReserved(control.domain, GNTTAB_RESERVED_CONSOLE, DOM0, built.consoleMfn)
	grantReserved(control.domain, GNTTAB_RESERVED_XENSTORE, DOM0, built.storeMfn)
	const console = serveConsole(control, ports.consolePort, spec.consoleLimit_bytes ?? CONSOLE_LIMIT_BYTES)
	const { entry, stackPointer, startInfoVa, l4Mfn, storeMfn, consoleMfn } = built
	control.start({ entry, stackPointer, startInfoVa, l4Mfn }, { translationCache: spec.translationCache ?? true })
	return { control, console, ...ports, storeMfn, consoleMfn }
}

async function image(readImage: ReadImage, what: string, path: string): Promise<Uint8Array> {
	const data = await readImage(path)
	if (data === undefined) throw new UserError(`${what} does not exist: ${path}`, { code: 'no-image' })
	return data
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
