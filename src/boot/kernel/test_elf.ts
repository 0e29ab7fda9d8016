/** For tests: a minimal ELF64 writer. */

export interface ElfParts {
	readonly entry?: bigint
	readonly segments: readonly { readonly type: number; readonly paddr?: bigint; readonly memorySize?: bigint; readonly data: Uint8Array }[]
	readonly sections?: readonly { readonly name: string; readonly type: number; readonly data: Uint8Array }[]
}

export function makeElf(parts: ElfParts): Uint8Array {
	const sections = parts.sections ?? []
	const names = [...sections.map((section) => section.name), '.shstrtab']
	const stringTable = new TextEncoder().encode(`\0${names.join('\0')}\0`)
	const nameAt = (name: string) => new TextDecoder().decode(stringTable).indexOf(`\0${name}\0`) + 1
	const allSections = sections.length === 0 ? [] : [...sections, { name: '.shstrtab', type: 3, data: stringTable }]
	const bodies = [...parts.segments.map((segment) => segment.data), ...allSections.map((section) => section.data)]
	const headersEnd = 64 + parts.segments.length * 56
	const bodyAt: number[] = []
	let at = headersEnd
	for (const body of bodies) {
		at = Math.ceil(at / 16) * 16
		bodyAt.push(at)
		at += body.length
	}
	const sectionsAt = Math.ceil(at / 16) * 16
	const image = new Uint8Array(sectionsAt + (allSections.length && allSections.length + 1) * 64)
	const view = new DataView(image.buffer)
	image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
	view.setUint16(16, 2, true)
	view.setUint16(18, 62, true)
	view.setUint32(20, 1, true)
	view.setBigUint64(24, parts.entry ?? 0n, true)
	view.setBigUint64(32, 64n, true)
	view.setUint16(52, 64, true)
	view.setUint16(54, 56, true)
	view.setUint16(56, parts.segments.length, true)
	for (const [index, body] of bodies.entries()) image.set(body, bodyAt[index])
	parts.segments.forEach((segment, index) => {
		const header = 64 + index * 56
		view.setUint32(header, segment.type, true)
		view.setBigUint64(header + 8, BigInt(bodyAt[index]!), true)
		view.setBigUint64(header + 24, segment.paddr ?? 0n, true)
		view.setBigUint64(header + 32, BigInt(segment.data.length), true)
		view.setBigUint64(header + 40, segment.memorySize ?? BigInt(segment.data.length), true)
	})
	if (allSections.length > 0) {
		view.setBigUint64(40, BigInt(sectionsAt), true)
		view.setUint16(58, 64, true)
		view.setUint16(60, allSections.length + 1, true)
		view.setUint16(62, allSections.length, true)
	}
	allSections.forEach((section, index) => {
		const header = sectionsAt + (index + 1) * 64
		view.setUint32(header, nameAt(section.name), true)
		view.setUint32(header + 4, section.type, true)
		view.setBigUint64(header + 24, BigInt(bodyAt[parts.segments.length + index]!), true)
		view.setBigUint64(header + 32, BigInt(section.data.length), true)
	})
	return image
}

/** Notes by number, a bigint as eight bytes, a string zero-terminated. */
export function makeNotes(values: Readonly<Record<number, bigint | string | Uint8Array>>, owner = 'Xen'): Uint8Array {
	const words: number[] = []
	const padded = (bytes: Uint8Array | number[]) => [...bytes, ...new Uint8Array(-bytes.length & 3)]
	const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]
	const name = new TextEncoder().encode(`${owner}\0`)
	for (const [type, value] of Object.entries(values)) {
		const data =
			typeof value === 'bigint'
				? new Uint8Array(new BigUint64Array([BigInt.asUintN(64, value)]).buffer)
				: typeof value === 'string'
					? new TextEncoder().encode(`${value}\0`)
					: value
		words.push(...u32(name.length), ...u32(data.length), ...u32(Number(type)), ...padded(name), ...padded(data))
	}
	return Uint8Array.from(words)
}
