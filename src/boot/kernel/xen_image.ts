import * as N from '../../abi/elfnote.ts'
import type { Gva } from '../../x86/cpu.ts'
import { type ElfImage, PT_LOAD, parseElf } from './elf.ts'
import { readXenNotes, type XenNotes } from './elf_notes.ts'
import { ImageError } from './image_error.ts'

/** A part of the kernel and where it goes, in bytes of the domain's physical space. */
export interface KernelSegment {
	readonly start: number
	readonly memorySize: number
	readonly data: Uint8Array
}

/** What the domain builder needs to know of a PV kernel. Addresses are virtual unless said otherwise. */
export interface XenImage {
	readonly notes: XenNotes
	readonly virtBase: Gva
	readonly entry: Gva
	/** First byte of the kernel and the one after its last, relative to virtBase, i.e. physical. */
	readonly start: number
	readonly end: number
	readonly segments: readonly KernelSegment[]
	/** Null when the kernel finds its hypercall page by itself (MSR 0x40000000 and the like). */
	readonly hypercallPage: Gva | null
	/** Null when the P2M is to be within the initial mapping. */
	readonly initP2m: Gva | null
	/** The ramdisk may stay outside the initial mapping. */
	readonly modStartPfn: boolean
	/** XENFEAT_* bits. */
	readonly supportedFeatures: number
	readonly requiredFeatures: number
	/** GUEST_OS, GUEST_VERSION and LOADER; empty where not given. */
	readonly guestOs: string
	readonly guestVersion: string
	readonly loader: string
	readonly suspendCancel: boolean
}

/** Features that a kernel can't have from us when it demands them. writable_page_tables is an assist (VMASST) and can be had. */
const REFUSED_FEATURES = ['auto_translated_physmap', 'supervisor_mode_kernel', 'hvm_callback_vector']

/**
 * Reads an ELF kernel's segments and Xen notes. Throws ImageError when it is no x86-64 Xen PV kernel, says that it needs what can't be had,
 * or contradicts itself.
 */
export function parseXenImage(kernel: Uint8Array): XenImage {
	const elf = parseElf(kernel)
	const notes = readXenNotes(elf)
	checkIdentity(notes)
	const virtBase = number(notes, N.XEN_ELFNOTE_VIRT_BASE)
	const paddrOffset = number(notes, N.XEN_ELFNOTE_PADDR_OFFSET)
	if (paddrOffset !== null && virtBase === null) throw new ImageError('the kernel has a PADDR_OFFSET note but no VIRT_BASE')
	const base = virtBase ?? 0n
	const segments = placeSegments(elf, paddrOffset ?? (notes.source === 'guest-string' ? base : 0n))
	const start = Math.min(...segments.map((segment) => segment.start))
	const end = Math.max(...segments.map((segment) => segment.start + segment.memorySize))
	const entry = number(notes, N.XEN_ELFNOTE_ENTRY) ?? elf.entry
	if (entry < base + BigInt(start) || entry > base + BigInt(end))
		throw new ImageError(
			`the kernel's entry point ${hex(entry)} is outside the kernel (${hex(base + BigInt(start))} to ${hex(base + BigInt(end))})`,
		)
	const features = parseFeatures(notes)
	return {
		notes,
		virtBase: toGva(base, 'VIRT_BASE'),
		entry: toGva(entry, 'ENTRY'),
		start,
		end,
		segments,
		hypercallPage: gva(notes, N.XEN_ELFNOTE_HYPERCALL_PAGE, 'HYPERCALL_PAGE'),
		initP2m: initP2m(notes, base),
		modStartPfn: (number(notes, N.XEN_ELFNOTE_MOD_START_PFN) ?? 0n) !== 0n,
		supportedFeatures: features.supported,
		requiredFeatures: features.required,
		guestOs: string(notes, N.XEN_ELFNOTE_GUEST_OS),
		guestVersion: string(notes, N.XEN_ELFNOTE_GUEST_VERSION),
		loader: string(notes, N.XEN_ELFNOTE_LOADER),
		suspendCancel: (number(notes, N.XEN_ELFNOTE_SUSPEND_CANCEL) ?? 0n) !== 0n,
	}
}

function checkIdentity(notes: XenNotes): void {
	if (notes.source === 'none')
		throw new ImageError("the kernel has no Xen ELF notes and no '__xen_guest' section: it was built without Xen PV support")
	const pvEntry = notes.values.has(N.XEN_ELFNOTE_ENTRY) || notes.source === 'guest-string'
	if (!pvEntry && notes.values.has(N.XEN_ELFNOTE_PHYS32_ENTRY))
		throw new ImageError('the kernel has an entry point for PVH only (note PHYS32_ENTRY but no ENTRY): it was built without Xen PV support')
	const loader = string(notes, N.XEN_ELFNOTE_LOADER)
	const guestOs = string(notes, N.XEN_ELFNOTE_GUEST_OS)
	if (!loader.startsWith('generic') && !guestOs.startsWith('linux'))
		throw new ImageError(
			`the kernel's notes have LOADER '${loader}' and GUEST_OS '${guestOs}'; needed is LOADER 'generic' or GUEST_OS 'linux'`,
		)
	const version = string(notes, N.XEN_ELFNOTE_XEN_VERSION)
	if (!version.startsWith('xen-3.0')) throw new ImageError(`the kernel's note XEN_VERSION is '${version}'; needed is 'xen-3.0'`)
}

function placeSegments(elf: ElfImage, paddrOffset: bigint): KernelSegment[] {
	const loadable = elf.segments.filter((segment) => segment.type === PT_LOAD && segment.memorySize > 0n)
	if (loadable.length === 0) throw new ImageError('the kernel has no loadable segments')
	return loadable.map((segment) => {
		const start = BigInt.asUintN(64, segment.paddr - paddrOffset)
		// Far beyond any domain's memory, and small enough to calculate with; the builder checks against the domain's.
		if (start + segment.memorySize > 2n ** 40n)
			throw new ImageError(`the kernel has a segment at physical address ${hex(start)}, outside any domain`)
		return { start: Number(start), memorySize: Number(segment.memorySize), data: segment.data }
	})
}

/** libxc ignores an INIT_P2M that is not below VIRT_BASE or not page-aligned. */
function initP2m(notes: XenNotes, base: bigint): Gva | null {
	const value = number(notes, N.XEN_ELFNOTE_INIT_P2M)
	return value === null || value >= base || value % 4096n !== 0n ? null : toGva(value, 'INIT_P2M')
}

function parseFeatures(notes: XenNotes): { supported: number; required: number } {
	let supported = Number(BigInt.asUintN(32, number(notes, N.XEN_ELFNOTE_SUPPORTED_FEATURES) ?? 0n))
	let required = 0
	for (const item of string(notes, N.XEN_ELFNOTE_FEATURES).split('|')) {
		const isRequired = item.startsWith('!')
		const name = isRequired ? item.slice(1) : item
		const bit = Object.hasOwn(N.ELFNOTE_FEATURE_NAMES, name) ? N.ELFNOTE_FEATURE_NAMES[name] : undefined
		if (isRequired) checkRequired(name, bit !== undefined)
		if (bit === undefined) continue
		supported |= 1 << bit
		if (isRequired) required |= 1 << bit
	}
	return { supported: supported >>> 0, required: required >>> 0 }
}

function checkRequired(name: string, known: boolean): void {
	if (!known) throw new ImageError(`the kernel requires the feature '${name}', which is unknown`)
	if (name === 'dom0') throw new ImageError("the kernel can only be dom0's (it requires the feature 'dom0')")
	if (REFUSED_FEATURES.includes(name)) throw new ImageError(`the kernel requires the feature '${name}', which a PV domain can't have`)
}

function number(notes: XenNotes, type: number): bigint | null {
	const value = notes.values.get(type)
	return typeof value === 'bigint' ? value : null
}

function string(notes: XenNotes, type: number): string {
	const value = notes.values.get(type)
	return typeof value === 'string' ? value : ''
}

function gva(notes: XenNotes, type: number, name: string): Gva | null {
	const value = number(notes, type)
	return value === null ? null : toGva(value, name)
}

function toGva(value: bigint, name: string): Gva {
	const signed = BigInt.asIntN(48, value)
	if (BigInt.asUintN(64, signed) !== value) throw new ImageError(`the kernel's ${name} ${hex(value)} is not a canonical address`)
	return Number(signed)
}

function hex(value: bigint): string {
	return `0x${value.toString(16)}`
}
