import { decodeBzip2 } from './bzip2.ts'
import { decodeGzip } from './gzip.ts'
import { ImageError } from './image_error.ts'
import { decodeLz4Legacy } from './lz4.ts'
import { decodeLzmaAlone } from './lzma.ts'
import { decodeLzop } from './lzo.ts'
import { Output } from './output.ts'
import { decodeXz } from './xz.ts'
import { decodeZstd } from './zstd.ts'

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

export interface DecompressOptions {
	/** The output's limit. */
	readonly maxBytes: number
	/** A guess at the output's size. */
	readonly expectedBytes?: number
}

/** The compression that the data's first bytes tell of; null when they tell of none. */
export function detectCompression(data: Uint8Array): Compression | null {
	return MAGIC.find(([, magic]) => magic.every((byte, at) => data[at] === byte))?.[0] ?? null
}

/**
 * Decompresses data of any kind that detectCompression() knows. Bytes after the compressed data (sizes, padding) are ignored, as kernel
 * loaders do. Throws ImageError when the kind is unknown, the data is truncated or corrupt, or the output passes the limit.
 */
export function decompress(data: Uint8Array, options: DecompressOptions): Uint8Array<ArrayBuffer> {
	const output = new Output(options.maxBytes, options.expectedBytes)
	const compression = detectCompression(data)
	switch (compression) {
		case 'gzip':
			decodeGzip(data, output)
			break
		case 'xz':
			decodeXz(data, output)
			break
		case 'lzma':
			decodeLzmaAlone(data, output)
			break
		case 'bzip2':
			decodeBzip2(data, output)
			break
		case 'lz4':
			decodeLz4Legacy(data, output)
			break
		case 'lzo':
			decodeLzop(data, output)
			break
		case 'zstd':
			decodeZstd(data, output, options.expectedBytes)
			break
		case null:
			throw new ImageError(`unknown compression (the data begins with ${hex(data.subarray(0, 6))})`)
	}
	return output.finish()
}

function hex(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
