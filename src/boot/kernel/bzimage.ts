import { decompress, detectCompression } from './decompress.ts'
import { isElf } from './elf.ts'
import { ImageError } from './image_error.ts'

/**
 * Linux's bzImage (Documentation/arch/x86/boot.rst): real-mode sectors with the setup header, then the protected-mode part, in which
 * payload_offset and payload_length tell where the compressed vmlinux is. Offsets are in the file.
 */
const SETUP_SECTS = 0x1f1
const HEADER_MAGIC = 0x202
const VERSION = 0x206
const PAYLOAD_OFFSET = 0x248
const PAYLOAD_LENGTH = 0x24c
const HEADER_END = 0x250
const SECTOR_BYTES = 512
/** "HdrS". */
const MAGIC = 0x53726448
/** The first protocol that tells where the payload is. */
const VERSION_WITH_PAYLOAD = 0x208

/**
 * The ELF kernel in `image`: a bzImage's payload, or the image itself, decompressed if need be to at most `maxBytes`.
 * Throws ImageError when it is neither, too old, truncated, compressed in an unknown way, or too large.
 */
export function extractKernel(image: Uint8Array, maxBytes: number): Uint8Array {
	if (image.length === 0) throw new ImageError('the kernel image is empty')
	if (isBzImage(image)) return extractPayload(image, maxBytes)
	if (isElf(image)) return image
	if (detectCompression(image) === null) throw new ImageError('the kernel image is neither a Linux bzImage nor an ELF image')
	const inner = decompress(image, { maxBytes })
	if (isBzImage(inner)) return extractPayload(inner, maxBytes)
	if (isElf(inner)) return inner
	throw new ImageError('the kernel image, decompressed, is neither a Linux bzImage nor an ELF image')
}

function isBzImage(image: Uint8Array): boolean {
	return image.length >= HEADER_END && viewOf(image).getUint32(HEADER_MAGIC, true) === MAGIC
}

function extractPayload(image: Uint8Array, maxBytes: number): Uint8Array {
	const view = viewOf(image)
	const version = view.getUint16(VERSION, true)
	if (version < VERSION_WITH_PAYLOAD)
		throw new ImageError(`the bzImage has boot protocol ${version >> 8}.${version & 255}; a PV domain needs 2.8 (Linux 2.6.26) or later`)
	// A setup_sects of 0 means 4, for the oldest loaders' sake.
	const start = ((view.getUint8(SETUP_SECTS) || 4) + 1) * SECTOR_BYTES + view.getUint32(PAYLOAD_OFFSET, true)
	const length = view.getUint32(PAYLOAD_LENGTH, true)
	if (start + length > image.length)
		throw new ImageError(`the bzImage is truncated: its payload ends at byte ${start + length}, the file at ${image.length}`)
	if (length < 4) throw new ImageError('the bzImage has no payload')
	const payload = image.subarray(start, start + length)
	if (isElf(payload)) return payload
	// The last four bytes are the size of the contents, of gzip's own or appended by Linux's build.
	const expectedBytes = view.getUint32(start + length - 4, true)
	const kernel = decompress(payload, { maxBytes, expectedBytes })
	if (!isElf(kernel)) throw new ImageError("the bzImage's payload is not an ELF image")
	return kernel
}

function viewOf(data: Uint8Array): DataView {
	return new DataView(data.buffer, data.byteOffset, data.length)
}
