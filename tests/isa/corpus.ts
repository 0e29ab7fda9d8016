// The corpus file format: judged cases, each as its difference from a base state and the outcome's difference from that. Brotli.

import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import type { IsaCase, JudgedCase, Patch, Tolerance } from './case.ts'
import { baseState } from './state.ts'

const MAGIC = 'xenotype isa corpus 1'
/** Equal bytes shorter than this inside a difference are cheaper to repeat than to skip. */
const GAP = 3

class Writer {
	private readonly parts: number[] = []

	number(value: number | bigint): void {
		let rest = BigInt(value)
		for (; rest > 127n; rest >>= 7n) this.parts.push(Number(rest & 127n) | 128)
		this.parts.push(Number(rest))
	}
	bytes(bytes: Uint8Array): void {
		this.number(bytes.length)
		for (const byte of bytes) this.parts.push(byte)
	}
	patches(patches: readonly Patch[]): void {
		this.number(patches.length)
		for (const { offset, bytes } of patches) {
			this.number(offset)
			this.bytes(bytes)
		}
	}
	get result(): Uint8Array {
		return Uint8Array.from(this.parts)
	}
}

class Reader {
	private readonly data: Uint8Array
	private at = 0

	constructor(data: Uint8Array) {
		this.data = data
	}
	get finished(): boolean {
		return this.at === this.data.length
	}
	number(): number {
		let value = 0
		let unit = 1
		for (;;) {
			const byte = this.data[this.at++] as number
			value += (byte & 127) * unit
			if (byte < 128) return value
			unit *= 128
		}
	}
	big(): bigint {
		let value = 0n
		for (let shift = 0n; ; shift += 7n) {
			const byte = this.data[this.at++] as number
			value |= BigInt(byte & 127) << shift
			if (byte < 128) return value
		}
	}
	bytes(): Uint8Array {
		const length = this.number()
		this.at += length
		return this.data.subarray(this.at - length, this.at)
	}
	patches(): Patch[] {
		return Array.from({ length: this.number() }, () => ({ offset: this.number(), bytes: this.bytes() }))
	}
}

/** Runs of bytes in which `after` differs. */
function difference(before: Uint8Array, after: Uint8Array): Patch[] {
	const patches: Patch[] = []
	for (let i = 0; i < after.length; ) {
		if (before[i] === after[i]) {
			i++
			continue
		}
		let end = i + 1
		for (let j = end; j < after.length && j < end + GAP; j++) if (before[j] !== after[j]) end = j + 1
		patches.push({ offset: i, bytes: after.slice(i, end) })
		i = end
	}
	return patches
}

function apply(before: Uint8Array, patches: readonly Patch[]): Uint8Array {
	const after = before.slice()
	for (const { offset, bytes } of patches) after.set(bytes, offset)
	return after
}

export function encodeCorpus(cases: readonly JudgedCase[]): Uint8Array {
	const labels = [...new Set(cases.map((judged) => judged.case.label))]
	const numbers = new Map(labels.map((label, i) => [label, i]))
	const writer = new Writer()
	writer.bytes(Buffer.from(MAGIC))
	writer.bytes(Buffer.from(labels.join('\n')))
	for (const { case: test, outcome } of cases) {
		writer.number(numbers.get(test.label) as number)
		writer.number((test.compat ? 1 : 0) | (test.tolerance << 1))
		writer.number(test.base)
		writer.number(test.undefinedFlags)
		writer.number(test.undefinedStatus)
		writer.bytes(test.code)
		writer.patches(difference(baseState(test.base, test.compat), test.state))
		writer.patches(test.memory)
		writer.number(outcome.vector)
		writer.number(outcome.error)
		writer.number(outcome.cr2)
		writer.patches(difference(test.state, outcome.state))
		writer.patches(outcome.memory)
	}
	const text = writer.result
	return brotliCompressSync(text, {
		params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: text.length },
	})
}

export function decodeCorpus(file: Uint8Array): JudgedCase[] {
	const reader = new Reader(brotliDecompressSync(file))
	if (Buffer.from(reader.bytes()).toString() !== MAGIC) throw new Error(`not a '${MAGIC}' file`)
	const labels = Buffer.from(reader.bytes()).toString().split('\n')
	const bases = new Map<number, Uint8Array>()
	const cases: JudgedCase[] = []
	while (!reader.finished) {
		const label = labels[reader.number()] as string
		const kind = reader.number()
		const compat = (kind & 1) !== 0
		const base = reader.number()
		const undefinedFlags = reader.number()
		const undefinedStatus = reader.number()
		const code = reader.bytes()
		const baseKey = base * 2 + (kind & 1)
		const start = bases.get(baseKey) ?? baseState(base, compat)
		bases.set(baseKey, start)
		const state = apply(start, reader.patches())
		const memory = reader.patches()
		const test: IsaCase = { label, code, base, compat, state, memory, undefinedFlags, undefinedStatus, tolerance: (kind >> 1) as Tolerance }
		const vector = reader.number()
		const error = reader.number()
		const cr2 = reader.big()
		const after = apply(state, reader.patches())
		cases.push({ case: test, outcome: { vector, error, cr2, state: after, memory: reader.patches() } })
	}
	return cases
}
