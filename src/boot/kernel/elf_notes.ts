import { XEN_ELFNOTE_NAME, XEN_ELFNOTES } from '../../abi/elfnote.ts'
import { type ElfImage, PT_NOTE, readString, SHT_NOTE } from './elf.ts'
import { ImageError } from './image_error.ts'

/** A note's contents: a number is unsigned 64-bit; an array is its raw bytes. */
export type NoteValue = bigint | string | Uint8Array

/** Where the notes were found; 'guest-string' is the __xen_guest section of kernels older than the notes. */
export type NoteSource = 'segment' | 'section' | 'guest-string' | 'none'

export interface XenNotes {
	readonly source: NoteSource
	/** By XEN_ELFNOTE_*; the last of several wins. */
	readonly values: ReadonlyMap<number, NoteValue>
}

const MAX_NOTES = 65536
/** Section of the legacy string, and its keys where they differ from the notes' names. */
const GUEST_SECTION = '__xen_guest'
const LEGACY_KEYS: Readonly<Record<string, string>> = {
	VIRT_ENTRY: 'ENTRY',
	ELF_PADDR_OFFSET: 'PADDR_OFFSET',
	XEN_VER: 'XEN_VERSION',
	GUEST_VER: 'GUEST_VERSION',
	PAE: 'PAE_MODE',
}
const PAGE_SHIFT = 12n

/** The notes of PT_NOTE segments, else of SHT_NOTE sections, else the __xen_guest string (libelf's order). */
export function readXenNotes(elf: ElfImage): XenNotes {
	const fromSegments = parseAll(elf.segments.filter((segment) => segment.type === PT_NOTE).map((segment) => segment.data))
	if (fromSegments.size > 0) return { source: 'segment', values: fromSegments }
	const fromSections = parseAll(elf.sections.filter((section) => section.type === SHT_NOTE).map((section) => section.data))
	if (fromSections.size > 0) return { source: 'section', values: fromSections }
	const legacy = elf.sections.find((section) => section.name === GUEST_SECTION)
	if (legacy !== undefined) return { source: 'guest-string', values: parseGuestString(readString(legacy.data)) }
	return { source: 'none', values: new Map() }
}

function parseAll(areas: readonly Uint8Array[]): Map<number, NoteValue> {
	const values = new Map<number, NoteValue>()
	let count = 0
	for (const area of areas) {
		const view = new DataView(area.buffer, area.byteOffset, area.length)
		for (let at = 0; at + 12 <= area.length; ) {
			if (++count > MAX_NOTES) throw new ImageError(`the kernel has more than ${MAX_NOTES} ELF notes`)
			const nameAt = at + 12
			const dataAt = nameAt + align4(view.getUint32(at, true))
			const dataSize = view.getUint32(at + 4, true)
			if (dataAt + dataSize > area.length) break
			const name = readString(area.subarray(0, dataAt), nameAt)
			if (name === XEN_ELFNOTE_NAME) addNote(values, view.getUint32(at + 8, true), area.subarray(dataAt, dataAt + dataSize))
			at = dataAt + align4(dataSize)
		}
	}
	return values
}

function addNote(values: Map<number, NoteValue>, type: number, data: Uint8Array): void {
	const kind = XEN_ELFNOTES[type]?.[1]
	if (kind === 'number') values.set(type, readNumber(data))
	else if (kind === 'string') values.set(type, readString(data))
	else if (kind === 'array') values.set(type, data.slice())
}

function readNumber(data: Uint8Array): bigint {
	if (![1, 2, 4, 8].includes(data.length)) return 0n
	return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

/** "KEY=VALUE,KEY=VALUE,KEY": the same things under older names. HYPERCALL_PAGE is a page number relative to VIRT_BASE. */
function parseGuestString(text: string): Map<number, NoteValue> {
	const values = new Map<number, NoteValue>()
	for (const item of text.split(',')) {
		const [key = '', ...rest] = item.split('=')
		const value = rest.join('=')
		const name = LEGACY_KEYS[key] ?? key
		const type = XEN_ELFNOTES.findIndex(([known]) => known === name)
		if (type < 0) continue
		if (name === 'BSD_SYMTAB') values.set(type, 'yes')
		else if (XEN_ELFNOTES[type]![1] === 'string') values.set(type, value)
		else if (/^(0x[0-9a-f]+|\d+)$/i.test(value)) values.set(type, BigInt.asUintN(64, BigInt(value)))
	}
	const number = (name: string) => {
		const value = values.get(XEN_ELFNOTES.findIndex(([known]) => known === name))
		return typeof value === 'bigint' ? value : null
	}
	const hypercallPage = number('HYPERCALL_PAGE')
	const type = XEN_ELFNOTES.findIndex(([known]) => known === 'HYPERCALL_PAGE')
	if (hypercallPage !== null) values.set(type, BigInt.asUintN(64, (hypercallPage << PAGE_SHIFT) + (number('VIRT_BASE') ?? 0n)))
	return values
}

function align4(value: number): number {
	return Math.ceil(value / 4) * 4
}
