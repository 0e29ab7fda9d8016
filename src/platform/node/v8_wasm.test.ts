import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compileOptimised, machineCodeOf, moduleOf } from './v8_wasm.ts'

/** (module (func (export "f") (result i32) (i32.const 42))) */
const WASM = Uint8Array.of(
	0,
	97,
	115,
	109,
	1,
	0,
	0,
	0,
	1,
	5,
	1,
	96,
	0,
	1,
	127,
	3,
	2,
	1,
	0,
	7,
	5,
	1,
	1,
	102,
	0,
	0,
	10,
	6,
	1,
	4,
	0,
	65,
	42,
	11,
)

test('machine code is taken from a module and made one again, also when V8 has forgotten the bytecode of what does it', () => {
	setFlagsFromString('--expose-gc')
	setFlagsFromString('--stress-flush-code')
	const gc = runInNewContext('gc') as () => void
	for (let time = 0; time < 3; time++) {
		const code = machineCodeOf(compileOptimised(WASM))
		assert(code !== undefined)
		const again = moduleOf(code, WASM)
		assert(again !== undefined)
		assert.equal((new WebAssembly.Instance(again).exports as { f(): number }).f(), 42)
		gc()
	}
})
