import * as R from './records.ts'
import { StreamError } from './stream_error.ts'

/** Where a stream comes from: a file, mostly. */
export interface ByteSource {
	/** The next bytes, as many as asked for; fewer only at the stream's end. What it returns is the caller's. */
	read(length: number): Promise<Uint8Array>
}

export interface StreamRecord {
	readonly type: number
	readonly body: DataView
}

/** A configuration is text that somebody has written, or a program from such. */
const CONFIG_MAX = 1024 * 1024

/** Reads a saved domain's file piece by piece. Every piece is what it must be, or a StreamError; no length in it is believed before it is checked. */
export class StreamReader {
	private readonly source: ByteSource

	constructor(source: ByteSource) {
		this.source = source
	}

	/** xl's header. Returns the domain's configuration: libxl's JSON. */
	async fileHeader(): Promise<string> {
		const header = await this.bytes(R.XL_HEADER_SIZE, 'its header')
		const view = viewOf(header)
		if (new TextDecoder('latin1').decode(header.subarray(0, 32)) !== R.XL_MAGIC)
			throw new StreamError("it is no saved domain of xl's format")
		const word = (n: number) => view.getUint32(32 + n * 4, true)
		if (word(0) !== R.XL_BYTEORDER) throw new StreamError('it is of a big-endian machine')
		if (word(1) !== (R.XL_MANDATORY_JSON | R.XL_MANDATORY_STREAMV2)) {
			throw new StreamError(
				`its mandatory flags are 0x${word(1).toString(16)}: they must be 0x3, a stream of version 2 with a configuration in JSON`,
			)
		}
		const length = word(3)
		if (length < 4 || length > CONFIG_MAX) throw new StreamError(`it has ${length} bytes of optional data: they must be 4 to ${CONFIG_MAX}`)
		const data = await this.bytes(length, 'its configuration')
		const size = viewOf(data).getUint32(0, true)
		if (size > length - 4) throw new StreamError(`its configuration has ${size} bytes, more than the ${length - 4} that are there`)
		return new TextDecoder().decode(data.subarray(4, 4 + size)).replace(/\0.*$/s, '')
	}

	/** libxl's header and its first record, behind which libxc's stream begins. */
	async libxlHeader(): Promise<void> {
		const header = await this.bytes(R.LIBXL_HEADER_SIZE, "libxl's header")
		const view = viewOf(header)
		if (new TextDecoder('latin1').decode(header.subarray(0, 8)) !== R.LIBXL_IDENT) throw new StreamError("it has no stream of libxl's")
		const version = view.getUint32(8)
		if (version !== R.LIBXL_VERSION) throw new StreamError(`its stream of libxl's is of version ${version}, not ${R.LIBXL_VERSION}`)
		checkOptions(view.getUint32(12), "libxl's stream")
		const { type } = await this.record()
		if (type !== R.LIBXL_LIBXC_CONTEXT)
			throw new StreamError(`its first record of libxl's is 0x${type.toString(16)}, and no memory of a domain`)
	}

	/** libxc's two headers. Returns the stream's version, 2 or 3. */
	async streamHeader(): Promise<number> {
		const view = viewOf(await this.bytes(R.IMAGE_HEADER_SIZE + R.DOMAIN_HEADER_SIZE, "libxc's headers"))
		if (view.getBigUint64(0) !== R.IMAGE_MARKER || view.getUint32(8) !== R.IMAGE_ID) throw new StreamError("it has no stream of libxc's")
		const version = view.getUint32(12)
		if (version !== 2 && version !== R.IMAGE_VERSION)
			throw new StreamError(`its stream of libxc's is of version ${version}: it must be 2 or 3`)
		checkOptions(view.getUint16(16), "libxc's stream")
		const type = view.getUint32(24, true)
		if (type !== R.DOMAIN_TYPE_PV) throw new StreamError(`its domain is of type ${type}: only paravirtual ones (1) run here`)
		const pageShift = view.getUint16(28, true)
		if (pageShift !== 12) throw new StreamError(`its pages have 2^${pageShift} bytes, not 2^12`)
		return version
	}

	async record(): Promise<StreamRecord> {
		const header = viewOf(await this.bytes(R.RECORD_HEADER_SIZE, "a record's header"))
		const type = header.getUint32(0, true)
		const length = header.getUint32(4, true)
		if (length > R.RECORD_MAX)
			throw new StreamError(`its record 0x${type.toString(16)} has ${length} bytes: at most ${R.RECORD_MAX} are allowed`)
		const padded = await this.bytes(Math.ceil(length / 8) * 8, `its record 0x${type.toString(16)}`)
		if (padded.subarray(length).some((byte) => byte !== 0))
			throw new StreamError(`its record 0x${type.toString(16)} is padded with other than zeroes`)
		return { type, body: viewOf(padded.subarray(0, length)) }
	}

	private async bytes(length: number, what: string): Promise<Uint8Array> {
		const bytes = await this.source.read(length)
		if (bytes.length !== length) throw new StreamError(`it ends in ${what}: it is cut short`)
		return bytes
	}
}

function checkOptions(options: number, what: string): void {
	if (options & R.OPTION_BIG_ENDIAN) throw new StreamError(`${what} in it is big-endian`)
	if (options & ~R.OPTION_LEGACY) throw new StreamError(`${what} in it has unknown options 0x${options.toString(16)}`)
}

export function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
