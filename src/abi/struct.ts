/** Who writes a field: the guest, Xen (or the toolstack on its behalf), or both (then through Atomics). */
export type Writer = 'guest' | 'xen' | 'both'

export interface Field {
	readonly offset: number
	/** Bytes of one element. */
	readonly width: number
	/** Elements of an array field. */
	readonly count: number
	readonly writer: Writer
	/** Bytes the field must be aligned to: its width for integers, 8 (or as given) for embedded structures and byte strings. */
	readonly align: number
}

export interface Struct<F extends Record<string, Field>> {
	readonly name: string
	/** Header and symbol, e.g. 'xen.h: struct vcpu_info'. */
	readonly source: string
	readonly size: number
	readonly fields: F
	/** Byte offset of each field. */
	readonly at: { readonly [K in keyof F]: number }
}

export const u8 = (offset: number, writer: Writer = 'xen', count = 1): Field => ({ offset, width: 1, count, writer, align: 1 })
export const u16 = (offset: number, writer: Writer = 'xen', count = 1): Field => ({ offset, width: 2, count, writer, align: 2 })
export const u32 = (offset: number, writer: Writer = 'xen', count = 1): Field => ({ offset, width: 4, count, writer, align: 4 })
export const u64 = (offset: number, writer: Writer = 'xen', count = 1): Field => ({ offset, width: 8, count, writer, align: 8 })
/** An embedded structure (or an array of it). */
export const embed = (offset: number, width: number, writer: Writer = 'xen', count = 1, align = 8): Field => ({
	offset,
	width,
	count,
	writer,
	align,
})

/**
 * Declares a structure of the ABI once. Throws at load when fields overlap, leave the structure or are not aligned.
 * Fields that share bytes on purpose (unions) are declared as separate structures.
 */
export function struct<F extends Record<string, Field>>(source: string, size: number, fields: F): Struct<F> {
	const name = source.slice(source.lastIndexOf(' ') + 1)
	const problem = check(size, fields)
	if (problem) throw new Error(`${source}: ${problem}`)
	const at = Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.offset])) as { [K in keyof F]: number }
	return { name, source, size, fields, at }
}

function check(size: number, fields: Record<string, Field>): string | undefined {
	let end = 0
	for (const [key, field] of Object.entries(fields).sort(([, a], [, b]) => a.offset - b.offset)) {
		if (field.offset < end) return `${key} at ${field.offset} overlaps the field before it`
		if (field.offset % field.align !== 0) return `${key} at ${field.offset} is not aligned to ${field.align}`
		end = field.offset + field.width * field.count
	}
	return end > size ? `fields end at ${end}, beyond the size of ${size}` : undefined
}
