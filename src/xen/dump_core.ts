/**
 * A core of a domain as libxc writes it: docs/misc/dump-core-format.txt of Xen's sources, version (0, 1). An ELF file with sections, and
 * besides them what debuggers of ELF look for (dump_core_segments.ts):
 *
 *   ELF header | section headers | program headers | registers | .note.Xen | .xen_prstatus | .xen_shared_info | (to a page) .xen_pages | .xen_p2m | .shstrtab
 */

import * as V from '../abi/version.ts'
import { vcpu_guest_context } from '../abi/xen.ts'
import { PAGE_SIZE, roundUp } from '../x86/machine_memory.ts'
import type { Domain } from './domain.ts'
import { CoreSegments, PROGRAM_HEADER_SIZE, registerNotes } from './dump_core_segments.ts'
import { PAGE_OWNED, PAGE_SPECIAL, PI_FLAGS, PI_WORDS } from './mm/page_info.ts'
import { XEN_CAPABILITIES, XEN_CHANGESET, XEN_EXTRAVERSION, XEN_VERSION_MAJOR, XEN_VERSION_MINOR } from './version.ts'

const XEN_ELFNOTE_DUMPCORE_NONE = 0x200_0000
const XEN_ELFNOTE_DUMPCORE_HEADER = 0x200_0001
const XEN_ELFNOTE_DUMPCORE_XEN_VERSION = 0x200_0002
const XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION = 0x200_0003
/** XC_CORE_MAGIC: a paravirtual domain. */
const CORE_MAGIC = 0xf00f_ebed
const FORMAT_VERSION = 1
const XEN_VERSION_SIZE = 8 + 8 + V.XEN_EXTRAVERSION_LEN + 144 + V.XEN_CAPABILITIES_INFO_LEN + V.XEN_CHANGESET_INFO_LEN + 8 + 8
const VIRT_START = 0xffff_8000_0000_0000n

const ELF_HEADER_SIZE = 64
const SECTION_HEADER_SIZE = 64
const SHT_PROGBITS = 1
const SHT_STRTAB = 3
const SHT_NOTE = 7
const P2M_ENTRY_SIZE = 16
/** Pages of one write. */
const CHUNK_PAGES = 256

interface Section {
	readonly name: string
	readonly type: number
	readonly size: number
	readonly align: number
	readonly entrySize: number
	/** Set by layOut(). */
	offset: number
}

/** A frame of the guest's with the PFN that it has in the guest. */
interface CorePage {
	readonly pfn: number
	readonly mfn: number
}

/**
 * The file, piece by piece, in order; each piece may be reused for the next. Memory is read as it is at that moment: a domain that runs on meanwhile has
 * no consistent core. `contexts` are the vCPUs' struct vcpu_guest_context.
 */
export function* coreFile(domain: Domain, contexts: readonly Uint8Array[]): Generator<Uint8Array> {
	const pages = corePages(domain)
	const notes = coreNotes(contexts.length, pages.length)
	const names = ['', '.shstrtab', '.note.Xen', '.xen_prstatus', '.xen_shared_info', '.xen_pages', '.xen_p2m']
	const strings = new TextEncoder().encode(`${names.join('\0')}\0`)
	const section = (name: string, type: number, size: number, align: number, entrySize = 0): Section => ({
		name,
		type,
		size,
		align,
		entrySize,
		offset: 0,
	})
	const sections = [
		section('.note.Xen', SHT_NOTE, notes.length, 4),
		section('.xen_prstatus', SHT_PROGBITS, contexts.length * vcpu_guest_context.size, 8, vcpu_guest_context.size),
		section('.xen_shared_info', SHT_PROGBITS, PAGE_SIZE, 8, PAGE_SIZE),
		section('.xen_pages', SHT_PROGBITS, pages.length * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE),
		section('.xen_p2m', SHT_PROGBITS, pages.length * P2M_ENTRY_SIZE, 8, P2M_ENTRY_SIZE),
		section('.shstrtab', SHT_STRTAB, strings.length, 1),
	]
	const segments = new CoreSegments(pages.map(({ pfn }) => pfn))
	const registers = registerNotes(contexts)
	const programHeaders = ELF_HEADER_SIZE + (sections.length + 1) * SECTION_HEADER_SIZE
	const registersAt = programHeaders + segments.count * PROGRAM_HEADER_SIZE
	layOut(sections, registersAt + registers.length)
	const at = (name: string) => sections.find((candidate) => candidate.name === name) as Section

	const head = new Uint8Array(at('.xen_pages').offset)
	const view = new DataView(head.buffer)
	writeElfHeader(view, sections.length, { offset: programHeaders, count: segments.count })
	segments.write(view, programHeaders, { offset: registersAt, size: registers.length }, at('.xen_pages').offset)
	head.set(registers, registersAt)
	for (const [n, { name, ...rest }] of sections.entries()) {
		writeSectionHeader(view, ELF_HEADER_SIZE + (n + 1) * SECTION_HEADER_SIZE, stringOffset(names, name), rest)
	}
	head.set(notes, at('.note.Xen').offset)
	for (const [n, context] of contexts.entries()) head.set(context, at('.xen_prstatus').offset + n * vcpu_guest_context.size)
	head.set(domain.machine.framePage(domain.layout.sharedInfoMfn), at('.xen_shared_info').offset)
	yield head
	yield* pageContents(domain, pages)
	yield p2m(pages)
	yield strings
}

/** The guest's frames that have a PFN, by PFN: as the machine-to-physical table has it, which Xen and the guest keep together. */
function corePages(domain: Domain): CorePage[] {
	const { machine, layout } = domain
	const { u32 } = machine
	const info = domain.at(layout.pageInfo) >>> 2
	const m2p = machine.frameAddress(layout.m2pMfn) >>> 2
	const pages: CorePage[] = []
	for (let mfn = 0; mfn < layout.ramFrames; mfn++) {
		const flags = u32[info + mfn * PI_WORDS + PI_FLAGS] as number
		if ((flags & PAGE_OWNED) === 0 || (flags & PAGE_SPECIAL) !== 0 || u32[m2p + mfn * 2 + 1] !== 0) continue
		pages.push({ pfn: u32[m2p + mfn * 2] as number, mfn })
	}
	return pages.sort((a, b) => a.pfn - b.pfn)
}

function* pageContents({ machine }: Domain, pages: readonly CorePage[]): Generator<Uint8Array> {
	const chunk = new Uint8Array(CHUNK_PAGES * PAGE_SIZE)
	for (let first = 0; first < pages.length; first += CHUNK_PAGES) {
		const part = pages.slice(first, first + CHUNK_PAGES)
		for (const [n, { mfn }] of part.entries()) chunk.set(machine.framePage(mfn), n * PAGE_SIZE)
		yield chunk.subarray(0, part.length * PAGE_SIZE)
	}
}

function p2m(pages: readonly CorePage[]): Uint8Array {
	const words = new Uint32Array(pages.length * 4)
	for (const [n, { pfn, mfn }] of pages.entries()) {
		words[n * 4] = pfn
		words[n * 4 + 2] = mfn
	}
	return new Uint8Array(words.buffer)
}

function coreNotes(vcpus: number, pages: number): Uint8Array {
	const header = new BigUint64Array([CORE_MAGIC, vcpus, pages, PAGE_SIZE].map(BigInt))
	return concatenate([
		note(XEN_ELFNOTE_DUMPCORE_NONE, new Uint8Array(0)),
		note(XEN_ELFNOTE_DUMPCORE_HEADER, new Uint8Array(header.buffer)),
		note(XEN_ELFNOTE_DUMPCORE_XEN_VERSION, xenVersion()),
		note(XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION, new Uint8Array(new BigUint64Array([BigInt(FORMAT_VERSION)]).buffer)),
	])
}

/** struct xen_dumpcore_elfnote_xen_version_desc. */
function xenVersion(): Uint8Array {
	const bytes = new Uint8Array(XEN_VERSION_SIZE)
	const view = new DataView(bytes.buffer)
	let offset = 0
	const wide = (value: bigint) => {
		view.setBigUint64(offset, value, true)
		offset += 8
	}
	const text = (size: number, value: string) => {
		new TextEncoder().encodeInto(value, bytes.subarray(offset, offset + size - 1))
		offset += size
	}
	wide(BigInt(XEN_VERSION_MAJOR))
	wide(BigInt(XEN_VERSION_MINOR))
	text(V.XEN_EXTRAVERSION_LEN, XEN_EXTRAVERSION)
	text(V.xen_compile_info.size, '')
	text(V.XEN_CAPABILITIES_INFO_LEN, XEN_CAPABILITIES)
	text(V.XEN_CHANGESET_INFO_LEN, XEN_CHANGESET)
	wide(VIRT_START)
	wide(BigInt(PAGE_SIZE))
	return bytes
}

function note(type: number, contents: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(16 + contents.length)
	const view = new DataView(bytes.buffer)
	view.setUint32(0, 4, true)
	view.setUint32(4, contents.length, true)
	view.setUint32(8, type, true)
	bytes.set(new TextEncoder().encode('Xen\0'), 12)
	bytes.set(contents, 16)
	return bytes
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
	const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
	let at = 0
	for (const part of parts) {
		bytes.set(part, at)
		at += part.length
	}
	return bytes
}

function layOut(sections: readonly Section[], begin: number): void {
	let at = begin
	for (const section of sections) {
		section.offset = roundUp(at, section.align)
		at = section.offset + section.size
	}
}

/** ELF64, little endian, x86-64, ET_CORE; the names are in the last section. */
function writeElfHeader(view: DataView, sections: number, segments: { readonly offset: number; readonly count: number }): void {
	view.setUint32(0, 0x464c_457f, true)
	view.setUint32(4, 0x0001_0102, true)
	view.setUint16(16, 4, true)
	view.setUint16(18, 62, true)
	view.setUint32(20, 1, true)
	view.setUint32(32, segments.offset, true)
	view.setUint32(40, ELF_HEADER_SIZE, true)
	view.setUint16(52, ELF_HEADER_SIZE, true)
	view.setUint16(54, PROGRAM_HEADER_SIZE, true)
	view.setUint16(56, segments.count, true)
	view.setUint16(58, SECTION_HEADER_SIZE, true)
	view.setUint16(60, sections + 1, true)
	view.setUint16(62, sections, true)
}

function writeSectionHeader(
	view: DataView,
	at: number,
	name: number,
	{ type, offset, size, align, entrySize }: Omit<Section, 'name'>,
): void {
	view.setUint32(at, name, true)
	view.setUint32(at + 4, type, true)
	view.setBigUint64(at + 24, BigInt(offset), true)
	view.setBigUint64(at + 32, BigInt(size), true)
	view.setBigUint64(at + 48, BigInt(align), true)
	view.setBigUint64(at + 56, BigInt(entrySize), true)
}

function stringOffset(names: readonly string[], name: string): number {
	return names.slice(0, names.indexOf(name)).reduce((sum, before) => sum + before.length + 1, 0)
}
