import { type FunctionBody, I32, I64, ModuleBuilder } from '../../wasm/module.ts'
import { type Block, type Region, successors } from './discover.ts'
import type { Instruction } from './instruction.ts'
import { emitCall, emitIndirect, emitReturn, INTEGER } from './integer.ts'
import { importCore, RegionCode, type RegisterUse } from './region_code.ts'
import { isPure, SSE } from './sse.ts'
import { Shape } from './structure.ts'

export interface Target {
	/** Size of the machine's memory in pages of 64 KiB. */
	readonly memoryPages: number
	/** Host address of the vCPU's state block. */
	readonly state: number
	readonly tlbEntries: number
}

/** The bytes of a module with one exported function `region(budget: i32) -> i32`: what is left of the budget. */
export function translate(region: Region, target: Target): Uint8Array {
	const use: RegisterUse = { used: new Set(), written: new Set(), xmmUsed: new Set(), xmmWritten: new Set() }
	// The first pass finds out which registers the second has to load and store.
	writeFunction(region, target, use, new ModuleBuilder())
	const module = new ModuleBuilder()
	const body = writeFunction(region, target, use, module)
	module.addFunction(module.type([I32], [I32]), body, 'region')
	return module.finish()
}

function writeFunction(region: Region, target: Target, use: RegisterUse, module: ModuleBuilder): FunctionBody {
	const core = importCore(module, target.memoryPages)
	const code = new RegionCode(core, target.state, target.tlbEntries, use)
	return code.wrap(() => new RegionWriter(code, region).write())
}

/** Labels of the constructs that a branch may leave or repeat, by block start. */
interface Labels {
	readonly loops: ReadonlyMap<number, number>
	readonly merges: ReadonlyMap<number, number>
}

class RegionWriter {
	private readonly r: RegionCode
	private readonly region: Region
	private readonly shape: Shape

	constructor(r: RegionCode, region: Region) {
		this.r = r
		this.region = region
		this.shape = new Shape(region)
	}

	write(): void {
		this.writeTree(this.shape.order[0]!, { loops: new Map(), merges: new Map() })
	}

	/** A block and everything it dominates. */
	private writeTree(block: Block, labels: Labels): void {
		const { code } = this.r
		if (!this.shape.isHeader(block)) return this.writeWithin(block, this.shape.mergesBelow(block), labels)
		this.r.forgetFlags()
		const label = code.loop()
		this.writeWithin(block, this.shape.mergesBelow(block), { ...labels, loops: new Map(labels.loops).set(block.start, label) })
		code.end()
	}

	/** The block inside one wasm block for each merge point below it, each followed by that merge point's tree. */
	private writeWithin(block: Block, merges: readonly Block[], labels: Labels): void {
		const [first, ...rest] = merges
		if (first === undefined) return this.writeBlock(block, labels)
		const { code } = this.r
		const label = code.block()
		this.writeWithin(block, rest, { ...labels, merges: new Map(labels.merges).set(first.start, label) })
		code.end()
		this.r.flags = undefined
		this.writeTree(first, labels)
	}

	private writeBlock(block: Block, labels: Labels): void {
		const { r } = this
		const { code } = r
		const last = block.instructions.at(-1)
		for (const instruction of block.instructions) {
			if (instruction === last && block.end.kind !== 'goto') break
			if (instruction.op === 'JMP') break
			this.writeInstruction(instruction)
		}
		const { end } = block
		switch (end.kind) {
			case 'goto':
				return this.goTo(block, end.target, labels)
			case 'branch': {
				if (end.taken === end.next) return this.goTo(block, end.next, labels)
				r.pushCondition(end.cc)
				const flags = r.flags
				code.if()
				this.goTo(block, end.taken, labels)
				code.end()
				r.flags = flags
				return this.goTo(block, end.next, labels)
			}
			case 'call':
				emitCall(r, last!, end.target)
				return this.goTo(block, end.target, labels)
			case 'return':
				return this.writeReturn(block, last!, labels)
			case 'leave':
				if ((last!.op === 'JMP_E' || last!.op === 'CALL_E') && last!.addressRecord === 0 && emitIndirect(r, last!)) return
				r.execute(last!)
				return r.exitTo(last!.off + last!.length)
		}
	}

	/** A return goes on inside the region when its address is behind one of the region's calls. */
	private writeReturn(block: Block, instruction: Instruction, labels: Labels): void {
		const { r } = this
		const { code } = r
		if (!emitReturn(r, instruction)) {
			r.execute(instruction)
			return r.exitTo(instruction.off + instruction.length)
		}
		const address = code.local(I64)
		code.get(r.x64).set(address)
		const flags = r.flags
		for (const target of successors(block, this.region)) {
			code.get(address)
			r.pushAddress(target)
			code.op('i64.eq')
			code.if()
			this.goTo(block, target, labels)
			code.end()
			r.flags = flags
		}
		code.get(address)
		r.exitToPushed()
	}

	/** Control goes from the end of `from` to an offset. */
	private goTo(from: Block, target: number, labels: Labels): void {
		const { r, shape } = this
		if (!shape.has(target) || shape.isCut(from, target)) return r.exitTo(target)
		if (shape.isBackEdge(from, target)) {
			r.forgetFlags()
			r.charge(
				shape.span(from, target).reduce((sum, block) => sum + block.instructions.length, 0),
				target,
			)
			r.code.br(labels.loops.get(target)!)
			return
		}
		if (shape.isMerge(target)) {
			r.forgetFlags()
			r.code.br(labels.merges.get(target)!)
			return
		}
		this.writeTree(this.region.blocks.get(target)!, labels)
	}

	private writeInstruction(instruction: Instruction): void {
		const { r } = this
		if (instruction.addressRecord === 0) {
			const emitter = INTEGER[instruction.op] ?? SSE[instruction.op]
			if (emitter?.(r, instruction)) return
			if (isPure(instruction.op)) return r.execute(instruction, false)
		}
		r.execute(instruction)
	}
}
