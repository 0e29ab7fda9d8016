/** CRC-32 as gzip, xz and Ethernet use it (polynomial 0xedb88320, reflected), eight bytes at a time. */
const TABLES = makeTables()

export function crc32(data: Uint8Array, initial = 0): number {
	let crc = ~initial
	let at = 0
	const whole = data.length & ~7
	while (at < whole) {
		const low = crc ^ (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24))
		crc =
			TABLES[0x700 + (low & 255)]! ^
			TABLES[0x600 + ((low >>> 8) & 255)]! ^
			TABLES[0x500 + ((low >>> 16) & 255)]! ^
			TABLES[0x400 + (low >>> 24)]! ^
			TABLES[0x300 + data[at + 4]!]! ^
			TABLES[0x200 + data[at + 5]!]! ^
			TABLES[0x100 + data[at + 6]!]! ^
			TABLES[data[at + 7]!]!
		at += 8
	}
	for (; at < data.length; at++) crc = TABLES[(crc ^ data[at]!) & 255]! ^ (crc >>> 8)
	return ~crc >>> 0
}

/** Table t maps a byte to its CRC after t further zero bytes. */
function makeTables(): Int32Array {
	const tables = new Int32Array(8 * 256)
	for (let byte = 0; byte < 256; byte++) {
		let crc = byte
		for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
		tables[byte] = crc
	}
	for (let i = 256; i < tables.length; i++) {
		const previous = tables[i - 256]!
		tables[i] = (previous >>> 8) ^ tables[previous & 255]!
	}
	return tables
}
