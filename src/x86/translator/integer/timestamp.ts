import type { Emitter } from './operands.ts'

const RDX = 16

/** RDTSC. */
export const timestamp: Emitter = (r) => {
	const { code } = r
	code.call(r.core.timestamp).tee(r.x64).op('i32.wrap_i64')
	r.setRegister(0, 4)
	code.get(r.x64).i64(32).op('i64.shr_u', 'i32.wrap_i64')
	r.setRegister(RDX, 4)
	return true
}
