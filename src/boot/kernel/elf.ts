import { ImageError } from './image_error.ts'

/** ELF64 for x86-64 (System V ABI, chapters 4 and 5), as far as loading a kernel needs it. */

const ELFCLASS32 = 1
const ELFCLASS64 = 2
const ELFDATA2LSB = 1
const EM_386 = 3
const EM_X86_64 = 62
const EHDR_SIZE = 64
const PHDR_SIZE = 56
const SHDR_SIZE = 64
export const PT_LOAD = 1
export const PT_NOTE = 4
export const SHT_NOTE = 7
const SHT_NOBITS = 8

/** Addresses and offsets are unsigned 64-bit numbers. */
export interface ElfSegment {
	readonly type: number
	readonly paddr: bigint
	readonly memorySize: bigint
	/** The segment's bytes in the file: views of the image, `data.length` at most memorySize. */
	readonly data: Uint8Array
}

export interface ElfSection {
	readonly name: string
	readonly type: number
	readonly data: Uint8Array
}

export interface ElfImage {
	readonly entry: bigint
	readonly segments: readonly ElfSegment[]
	/** Empty when the image has no usable section headers: they are optional. */
	readonly sections: readonly ElfSection[]
}

export function isElf(image: Uint8Array): boolean {
	return image.length >= 4 && image[0] === 0x7f && image[1] === 0x45 && image[2] === 0x4c && image[3] === 0x46
}

/** Throws ImageError when the image is no little-endian ELF64 for x86-64, or a segment lies outside it. */
export function parseElf(image: Uint8Array): ElfImage {
	if (!isElf(image)) throw new ImageError('the kernel is not an ELF image')
	if (image.length < EHDR_SIZE) throw new ImageError('the ELF image is truncated within its header')
	const view = new DataView(image.buffer, image.byteOffset, image.length)
	checkKind(image[4]!, image[5]!, view.getUint16(18, true))
	return { entry: view.getBigUint64(24, true), segments: readSegments(image, view), sections: readSections(image, view) }
}

function checkKind(elfClass: number, encoding: number, machine: number): void {
	if (elfClass === ELFCLASS32 && machine === EM_386)
		throw new ImageError('the kernel is a 32-bit (i386) one; only 64-bit (x86-64) PV kernels can run')
	if (machine !== EM_X86_64) throw new ImageError(`the kernel is for ELF machine ${machine}; only x86-64 (${EM_X86_64}) can run`)
	if (elfClass !== ELFCLASS64 || encoding !== ELFDATA2LSB) throw new ImageError('the kernel is not a little-endian 64-bit ELF image')
}

function readSegments(image: Uint8Array, view: DataView): ElfSegment[] {
	const offset = view.getBigUint64(32, true)
	const entrySize = view.getUint16(54, true)
	const count = view.getUint16(56, true)
	if (count === 0) throw new ImageError('the ELF image has no program headers')
	if (entrySize < PHDR_SIZE || offset + BigInt(entrySize * count) > BigInt(image.length))
		throw new ImageError('the ELF image is truncated: its program headers lie outside the file')
	return Array.from({ length: count }, (_, index) => {
		const at = Number(offset) + index * entrySize
		const type = view.getUint32(at, true)
		const start = view.getBigUint64(at + 8, true)
		const fileSize = view.getBigUint64(at + 32, true)
		const memorySize = view.getBigUint64(at + 40, true)
		if ((type === PT_LOAD || type === PT_NOTE) && start + fileSize > BigInt(image.length))
			throw new ImageError(`the ELF image is truncated: segment ${index} ends at byte ${start + fileSize}, the file at ${image.length}`)
		if (type === PT_LOAD && fileSize > memorySize)
			throw new ImageError(`segment ${index} of the ELF image is larger in the file than in memory`)
		return { type, paddr: view.getBigUint64(at + 24, true), memorySize, data: slice(image, start, fileSize) }
	})
}

function readSections(image: Uint8Array, view: DataView): ElfSection[] {
	const offset = view.getBigUint64(40, true)
	const entrySize = view.getUint16(58, true)
	const count = view.getUint16(60, true)
	const namesIndex = view.getUint16(62, true)
	if (count === 0 || namesIndex >= count || entrySize < SHDR_SIZE || offset + BigInt(entrySize * count) > BigInt(image.length)) return []
	const header = (index: number) => {
		const at = Number(offset) + index * entrySize
		const type = view.getUint32(at + 4, true)
		const data =
			type === SHT_NOBITS ? image.subarray(0, 0) : slice(image, view.getBigUint64(at + 24, true), view.getBigUint64(at + 32, true))
		return { nameAt: view.getUint32(at, true), type, data }
	}
	const names = header(namesIndex).data
	return Array.from({ length: count }, (_, index) => {
		const { nameAt, type, data } = header(index)
		return { name: readString(names, nameAt), type, data }
	})
}

/** What of the range lies inside the image. */
function slice(image: Uint8Array, start: bigint, size: bigint): Uint8Array {
	const end = start + size
	const limit = BigInt(image.length)
	return start >= limit ? image.subarray(0, 0) : image.subarray(Number(start), Number(end < limit ? end : limit))
}

/** The zero-terminated ASCII string at `at`, at most up to the end of the data. */
export function readString(data: Uint8Array, at = 0): string {
	const zero = data.indexOf(0, at)
	return String.fromCharCode(...data.subarray(at, Math.min(zero < 0 ? data.length : zero, at + 4096)))
}
