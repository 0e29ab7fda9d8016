import { ImageError } from './image_error.ts'
import { decodeLzmaAlone } from './lzma.ts'
import { Output } from './output.ts'
import { decodeXz } from './xz.ts'

export type Compression = 'gzip' | 'xz' | 'lzma' | 'bzip2' | 'lz4' | 'lzo' | 'zstd'

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
	['gzip', [0x1f, 0x8b]],
	['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
	['bzip2', [0x42, 0x5a, 0x68]],
	['lz4', [0x02, 0x21, 0x4c, 0x18]],
	['lzo', [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]],
	['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
	['lzma', [0x5d, 0x00, 0x00]],
]

/** The compression that the data's first bytes tell of; null when they tell of none. */
export function detectCompression(data: Uint8Array): Compression | null {
	return MAGIC.find(([, magic]) => magic.every((byte, at) => data[at] === byte))?.[0] ?? null
}
export function decompress(data: Uint8Array, options: { maxBytes: number; expectedBytes?: number }): Uint8Array<ArrayBuffer> {
	const output = new Output(options.maxBytes, options.expectedBytes)
	const c = detectCompression(data)
	if (c === 'xz') decodeXz(data, output)
	else if (c === 'lzma') decodeLzmaAlone(data, output)
	else throw new ImageError('unknown')
	return output.finish()
}
