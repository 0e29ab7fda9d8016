import { Bytes } from './bytes.ts'

export const I32 = 0x7f,
	I64 = 0x7e,
	F32 = 0x7d,
	F64 = 0x7c,
	V128 = 0x7b,
	VOID = 0x40
export type ValueType = typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128

export interface FunctionType {
	readonly params: readonly ValueType[]
	readonly results: readonly ValueType[]
}

/** Locals and expression, without the size. */
export interface FunctionBody {
	readonly bytes: Uint8Array
	/** Offset of the expression. */
	readonly start: number
	/** Branches that are likely or unlikely to be taken, in pairs: offset in the expression, 1 or 0. */
	readonly hints: readonly number[]
	/** Where in the expression the index of a global is. */
	readonly globals: readonly number[]
}

/** The body with global `to` where it has `from`. Both are below 128, so that an index is a byte. */
export function withGlobal(body: FunctionBody, from: number, to: number): FunctionBody {
	if (from === to) return body
	const bytes = body.bytes.slice()
	for (const at of body.globals) if (bytes[body.start + at] === from) bytes[body.start + at] = to
	return { ...body, bytes }
}

/** A module of imported functions, globals and one shared memory, and of exported functions. Indices of functions count the imports first. */
export class ModuleBuilder {
	private readonly types: FunctionType[] = []
	private readonly imports: { module: string; name: string; write: (out: Bytes) => void }[] = []
	private readonly functions: { type: number; body: FunctionBody; name: string }[] = []
	private importedFunctions = 0
	private importedGlobals = 0

	type(params: readonly ValueType[], results: readonly ValueType[]): number {
		const found = this.types.findIndex((t) => same(t.params, params) && same(t.results, results))
		if (found >= 0) return found
		this.types.push({ params, results })
		return this.types.length - 1
	}

	/** A shared memory of `initial` to `maximum` pages of 64 KiB. */
	importSharedMemory(module: string, name: string, initial: number, maximum: number): void {
		this.imports.push({
			module,
			name,
			write: (out) => {
				out.u8(2)
				out.u8(3)
				out.u32(initial)
				out.u32(maximum)
			},
		})
	}

	/** Its function index. All imports come before the first function. */
	importFunction(module: string, name: string, params: readonly ValueType[], results: readonly ValueType[]): number {
		const type = this.type(params, results)
		this.imports.push({
			module,
			name,
			write: (out) => {
				out.u8(0)
				out.u32(type)
			},
		})
		return this.importedFunctions++
	}

	/** A global, mutable unless told otherwise; its global index. */
	importGlobal(module: string, name: string, type: ValueType, { mutable = true } = {}): number {
		this.imports.push({
			module,
			name,
			write: (out) => {
				out.u8(3)
				out.u8(type)
				out.u8(mutable ? 1 : 0)
			},
		})
		return this.importedGlobals++
	}

	/** Adds an exported function; its function index. */
	addFunction(type: number, body: FunctionBody, name: string): number {
		this.functions.push({ type, body, name })
		return this.importedFunctions + this.functions.length - 1
	}

	finish(): Uint8Array {
		const out = new Bytes()
		out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
		section(out, 1, (s) => {
			s.u32(this.types.length)
			for (const { params, results } of this.types) {
				s.u8(0x60)
				s.block(Uint8Array.from(params))
				s.block(Uint8Array.from(results))
			}
		})
		section(out, 2, (s) => {
			s.u32(this.imports.length)
			for (const { module, name, write } of this.imports) {
				s.name(module)
				s.name(name)
				write(s)
			}
		})
		section(out, 3, (s) => {
			s.u32(this.functions.length)
			for (const { type } of this.functions) s.u32(type)
		})
		section(out, 7, (s) => {
			s.u32(this.functions.length)
			this.functions.forEach(({ name }, n) => {
				s.name(name)
				s.u8(0)
				s.u32(this.importedFunctions + n)
			})
		})
		// The Branch Hinting proposal's custom section; it must come before the code.
		section(out, 0, (s) => {
			s.name('metadata.code.branch_hint')
			s.u32(this.functions.filter(({ body }) => body.hints.length > 0).length)
			for (const [n, { body }] of this.functions.entries()) {
				const { start, hints } = body
				if (hints.length === 0) continue
				s.u32(this.importedFunctions + n)
				s.u32(hints.length / 2)
				for (let at = 0; at < hints.length; at += 2) {
					s.u32(start + hints[at]!)
					s.u32(1)
					s.u8(hints[at + 1]!)
				}
			}
		})
		section(out, 10, (s) => {
			s.u32(this.functions.length)
			for (const { body } of this.functions) s.block(body.bytes)
		})
		return out.finish()
	}
}

function section(out: Bytes, id: number, write: (section: Bytes) => void): void {
	const content = new Bytes()
	write(content)
	out.u8(id)
	out.u32(content.length)
	content.moveTo(out)
}

function same(a: readonly number[], b: readonly number[]): boolean {
	return a.length === b.length && a.every((value, n) => value === b[n])
}
