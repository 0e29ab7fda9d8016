import { XEN_VERSION_MAJOR, XEN_VERSION_MINOR } from '../xen/version.ts'
import * as R from './records.ts'

const utf8 = new TextEncoder()

/** Bytes that are put together little-endian. */
export class Bytes {
	readonly bytes: Uint8Array
	readonly view: DataView
	private at = 0

	constructor(size: number) {
		this.bytes = new Uint8Array(size)
		this.view = new DataView(this.bytes.buffer)
	}
	u8(value: number): this {
		this.view.setUint8(this.at++, value)
		return this
	}
	u32(value: number): this {
		this.view.setUint32(this.at, value, true)
		this.at += 4
		return this
	}
	/** An integer below 2^53, or any u64. */
	u64(value: number | bigint): this {
		this.view.setBigUint64(this.at, BigInt(value), true)
		this.at += 8
		return this
	}
	put(bytes: Uint8Array): this {
		this.bytes.set(bytes, this.at)
		this.at += bytes.length
		return this
	}
}

/** xl's header with the domain's configuration, libxl's with it, and the record that says that libxc's stream comes. `config` is libxl's JSON. */
export function fileHeader(config: string): Uint8Array {
	const text = utf8.encode(`${config}\0`)
	const header = new Bytes(R.XL_HEADER_SIZE + 4 + text.length + R.LIBXL_HEADER_SIZE + R.RECORD_HEADER_SIZE)
	header.put(utf8.encode(R.XL_MAGIC))
	header.u32(R.XL_BYTEORDER).u32(R.XL_MANDATORY_JSON | R.XL_MANDATORY_STREAMV2)
	header
		.u32(0)
		.u32(4 + text.length)
		.u32(text.length)
		.put(text)
	header.put(utf8.encode(R.LIBXL_IDENT)).put(bigEndian32(R.LIBXL_VERSION)).u32(0)
	return header.put(record(R.LIBXL_LIBXC_CONTEXT)).bytes
}

/** The end of libxl's stream. */
export function fileEnd(): Uint8Array {
	return record(R.LIBXL_END)
}

/** The image header and the domain header. */
export function streamHeader(): Uint8Array {
	const header = new Bytes(R.IMAGE_HEADER_SIZE + R.DOMAIN_HEADER_SIZE)
	header.u64(R.IMAGE_MARKER).put(bigEndian32(R.IMAGE_ID)).put(bigEndian32(R.IMAGE_VERSION)).u64(0)
	return header.u32(R.DOMAIN_TYPE_PV).u32(12).u32(XEN_VERSION_MAJOR).u32(XEN_VERSION_MINOR).bytes
}

/** A record with its body, padded to a multiple of eight bytes. */
export function record(type: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
	const bytes = new Bytes(R.RECORD_HEADER_SIZE + Math.ceil(body.length / 8) * 8)
	return bytes.u32(type).u32(body.length).put(body).bytes
}

function bigEndian32(value: number): Uint8Array {
	const bytes = new Uint8Array(4)
	new DataView(bytes.buffer).setUint32(0, value)
	return bytes
}
