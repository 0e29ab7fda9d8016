import type { IsaCase } from './case.ts'
import { makeCase, type Shape, shapesOf, weightOf } from './generate/generate.ts'
import type { Random } from './random.ts'
import { ENCODINGS } from './rows.ts'

/** Every way to encode every row of the opcode table, in 64-bit and compatibility code. */
export const SHAPES: readonly Shape[] = ENCODINGS.flatMap((encoding) => [...shapesOf(encoding, false), ...shapesOf(encoding, true)])

/** `count` cases of each shape, more of those that need more. */
export function generateCases(shapes: readonly Shape[], count: number, random: Random): IsaCase[] {
	return shapes.flatMap((shape) =>
		Array.from({ length: count * weightOf(shape.encoding.key) }, () => makeCase(shape, random)).filter((test) => test !== undefined),
	)
}
