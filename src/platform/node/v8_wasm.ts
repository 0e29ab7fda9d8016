// V8's two compilers and its machine code, by choice. Flags are the process's, and this process is the hypervisor's own; each function leaves them as they are by
// default. Written for V8 13.6 (Node 24).
//
// Rule: V8 may be compiling the core on another thread while a flag is set here, and sees it change in the middle of a function. So only flags belong here whose
// places in a function don't depend on one another. --no-wasm-inlining is not one: Liftoff's function entry then lacks what its calls count in, and they write
// to where something else lies (a SIGSEGV in one of six boots with a filled cache).
import { setFlagsFromString } from 'node:v8'

/**
 * No look at the stack's limit at each entry and in each round of a loop, a twentieth of short ones. It is what stops endless recursion and endless loops: a region
 * calls nothing but the core, which is compiled with it, and comes back to the core when its budget is spent.
 */
const UNCHECKED = '--no-wasm-stack-checks'
/** The optimising compiler at once, for the whole module. */
const OPTIMISED = ['--no-liftoff', '--no-wasm-lazy-compilation', UNCHECKED]
/** The quick compiler only: without counting, and without compiling again by itself. */
const BASELINE = ['--no-wasm-dynamic-tiering', '--no-wasm-tier-up', '--no-wasm-lazy-compilation', UNCHECKED]
/** Needed whenever such a function is called, not only when it is made: V8 forgets the bytecode of functions that rest, and parses them again. */
const NATIVES = ['--allow-natives-syntax']

function withFlags<T>(flags: readonly string[], body: () => T): T {
	for (const flag of flags) setFlagsFromString(flag)
	try {
		return body()
	} finally {
		for (const flag of flags) setFlagsFromString(flag.startsWith('--no-') ? flag.replace('--no-', '--') : flag.replace('--', '--no-'))
	}
}

/** An empty custom section. V8 has one compiled module for the same bytes in the whole process, so what is to be compiled otherwise must have others. */
const MARK = [0, 2, 1, 0x2b]

function marked(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(wasm.length + MARK.length)
	bytes.set(wasm)
	bytes.set(MARK, wasm.length)
	return bytes
}

/** From now on V8 compiles the functions of a module on so many threads at once: of those that there are, vCPUs need one. */
export function limitCompilers(threads: number): void {
	setFlagsFromString(`--wasm-num-compilation-tasks=${threads}`)
}

export function compileOptimised(wasm: Uint8Array): WebAssembly.Module {
	return withFlags(OPTIMISED, () => new WebAssembly.Module(marked(wasm)))
}

export function compileBaseline(wasm: Uint8Array): WebAssembly.Module {
	return withFlags(BASELINE, () => new WebAssembly.Module(wasm as BufferSource))
}

interface NativeCode {
	serialize(module: WebAssembly.Module): ArrayBuffer
	deserialize(native: ArrayBuffer, wasm: Uint8Array): WebAssembly.Module | undefined
}

/** V8 has no interface for this in JavaScript but those that its own tests use. Undefined where they are missing. */
function nativeCode(): NativeCode | undefined {
	try {
		return withFlags(NATIVES, () => ({
			serialize: new Function('module', 'return %SerializeWasmModule(module)') as NativeCode['serialize'],
			deserialize: new Function('native', 'wasm', 'return %DeserializeWasmModule(native, wasm)') as NativeCode['deserialize'],
		}))
	} catch {
		return undefined
	}
}

const native = nativeCode()

/** The machine code of a module of compileOptimised(); undefined where V8 does not give it away. */
export function machineCodeOf(module: WebAssembly.Module): Uint8Array | undefined {
	return native && withFlags([...OPTIMISED, ...NATIVES], () => new Uint8Array(native.serialize(module)))
}

/**
 * The module whose machine code was machineCodeOf(); `wasm` is what it was compiled from. Undefined when another V8, another processor or other flags made it. Both must be known to
 * be whole: V8 trusts them.
 */
export function moduleOf(machineCode: Uint8Array, wasm: Uint8Array): WebAssembly.Module | undefined {
	if (native === undefined) return undefined
	const bytes = machineCode.slice().buffer
	return withFlags([...OPTIMISED, ...NATIVES], () => native.deserialize(bytes, marked(wasm)))
}
