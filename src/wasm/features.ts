/** What engines may or may not have, found once. */
import { Code } from './code.ts'
import { ModuleBuilder, V128 } from './module.ts'

/** Whether a function of no parameters with this body, which leaves a v128, is accepted. */
function accepts(body: (code: Code) => void): boolean {
	const module = new ModuleBuilder()
	const code = new Code(0)
	body(code)
	module.addFunction(module.type([], [V128]), code.finish(), 'f')
	return WebAssembly.validate(module.finish() as Uint8Array<ArrayBuffer>)
}

/** i8x16.relaxed_swizzle, which leaves open what indices from 16 to 127 give. */
export const hasRelaxedSwizzle = accepts((code) => code.v128Const(0n).v128Const(0n).simd('i8x16.relaxed_swizzle'))
