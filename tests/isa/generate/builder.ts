// Puts one instruction together: prefixes, REX, opcode, ModRM, immediates, and the state that gives its operands their values.

import { EXACT, type IsaCase, type Patch, type Tolerance } from '../case.ts'
import * as map from '../memory_map.ts'
import type { Random } from '../random.ts'
import {
	BASES,
	baseState,
	DF,
	FX_FSW,
	FX_ST,
	FX_XMM,
	gpr,
	STATE_FX,
	STATE_GPR,
	STATE_RFLAGS,
	STATE_RIP,
	STATUS_FLAGS,
	setGpr,
	viewOf,
} from '../state.ts'
import type { Encoding } from './encoding.ts'
import { integer, littleEndian } from './values.ts'

const RSP = 4
const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e]
/** In compatibility code CS can't be written: our processor has no such check. */
const DATA_PREFIXES = [0x26, 0x36, 0x3e]

/** How an instruction reaches its memory operand. */
interface Addressing {
	readonly address32: boolean
	/** Segment override prefix or 0. */
	readonly segment: number
	readonly segmentBase: bigint
}

export class CaseBuilder {
	readonly encoding: Encoding
	readonly label: string
	readonly random: Random
	readonly compat: boolean
	readonly base: number
	readonly state: Uint8Array
	readonly view: DataView
	/** Bytes of the operands that the row sizes with v, z or y. */
	readonly operandSize: number
	/** A REX prefix is given (always so with REX.W); without one, registers are 0..7 and byte registers 4..7 are AH CH DH BH. */
	readonly rex: boolean
	readonly memory: Patch[] = []
	/** Registers that the memory operand's address is made of. */
	readonly memoryRegisters = new Set<number>()
	/** Instructions that follow the one under test. */
	epilogue: readonly number[] = []
	undefinedFlags = 0
	undefinedStatus = 0
	tolerance: Tolerance = EXACT
	private rexBits = 0
	private readonly legacyPrefixes: number[] = []
	private modrmBytes: number[] = []
	private opcodeRegister = 0
	private immediateBytes: number[] = []
	/** A REX prefix that isn't the last prefix has no effect. */
	private ignoredRex: readonly number[] = []
	/** Linear address that a RIP-relative operand must reach. */
	private ripTarget: bigint | undefined
	private addressing: Addressing | undefined

	constructor(encoding: Encoding, label: string, random: Random, compat: boolean, operandSize: number) {
		this.encoding = encoding
		this.label = label
		this.random = random
		this.compat = compat
		this.operandSize = operandSize
		this.base = random.below(BASES)
		this.state = baseState(this.base, compat)
		this.view = viewOf(this.state)
		const w = operandSize === 8 && !encoding.attributes.has('d64') && !encoding.attributes.has('f64')
		this.rex = !compat && (w || random.oneIn(2))
		if (w) this.rexBits |= 8
		if (operandSize === 2) this.legacyPrefixes.push(0x66)
		let flags = 0x202 | (random.u32() & STATUS_FLAGS)
		if (random.oneIn(5)) flags |= DF
		this.rflags = flags
		this.rip = this.pickCodeAddress()
	}

	get rflags(): number {
		return this.view.getUint32(STATE_RFLAGS, true)
	}
	set rflags(value: number) {
		this.view.setUint32(STATE_RFLAGS, value, true)
	}
	get rip(): number {
		return this.view.getUint32(STATE_RIP, true)
	}
	set rip(value: number) {
		this.view.setUint32(STATE_RIP, value, true)
	}
	get top(): number {
		return (this.view.getUint16(STATE_FX + FX_FSW, true) >> 11) & 7
	}
	gpr(register: number): bigint {
		return gpr(this.view, register)
	}
	setGpr(register: number, value: bigint): void {
		setGpr(this.view, register, this.compat ? BigInt.asUintN(32, value) : value)
	}

	/** Mostly well inside the code region; now and then so that the instruction crosses into the second page or out of the region. */
	private pickCodeAddress(): number {
		if (this.random.oneIn(150)) return map.CODE_VA + map.CODE_SIZE - 1 - this.random.below(7)
		if (this.random.oneIn(25)) return map.CODE_VA + 0x1000 - 1 - this.random.below(6)
		return map.CODE_VA + this.random.pick([0x400, 0x7f1, 0xc03, 0x1800])
	}

	/** Every byte that an instruction may have is in the code region, so what is wrong with it is found before a page is missing. */
	get isFetched(): boolean {
		return this.rip < map.CODE_VA + map.CODE_SIZE - 16
	}

	addPrefix(byte: number): void {
		this.legacyPrefixes.push(byte)
	}

	/** Prefixes that change nothing, orders of prefixes, and more than the 15 bytes that an instruction may have. */
	disturbPrefixes(): void {
		const { random, legacyPrefixes, encoding } = this
		const plain = encoding.prefix === undefined && encoding.bytes[0] !== 0x0f && encoding.bytes[0] !== 0xf3 && encoding.bytes[0] !== 0x90
		const repeats = /^(6[C-F]|A[4-7A-F]|E[0-3])$/.test(encoding.key)
		if (plain && !repeats && random.oneIn(120)) this.addPrefix(random.pick([0xf2, 0xf3]))
		if (random.oneIn(400)) for (let i = 0; i < 14; i++) this.addPrefix(0x3e)
		if (random.oneIn(4)) legacyPrefixes.reverse()
		if (!this.compat && legacyPrefixes.length > 0 && random.oneIn(60)) this.ignoredRex = [0x40 | random.below(16)]
	}

	pickRegister(): number {
		return this.random.below(this.rex ? 16 : 8)
	}

	/** Gives the low `size` bytes of a register operand an interesting value; AH..BH as the encoding says. */
	fillRegister(register: number, size: number): void {
		this.putRegister(register, size, integer(this.random, size))
	}

	putRegister(register: number, size: number, value: bigint): void {
		const high = size === 1 && !this.rex && register >= 4
		this.state.set(littleEndian(value, this.compat ? Math.min(size, 4) : size), STATE_GPR + (high ? (register - 4) * 8 + 1 : register * 8))
	}

	/** The low `size` bytes of a register operand. */
	readRegister(register: number, size: number): bigint {
		const high = size === 1 && !this.rex && register >= 4
		const value = high ? this.gpr(register - 4) >> 8n : this.gpr(register)
		return BigInt.asUintN(size * 8, value)
	}

	putXmm(register: number, bytes: Uint8Array): void {
		this.state.set(bytes, STATE_FX + FX_XMM + register * 16)
	}

	/** MMX registers are physical; the image holds ST(0) first. */
	putMmx(register: number, bytes: Uint8Array): void {
		this.state.set(bytes, STATE_FX + FX_ST + ((register - this.top) & 7) * 16)
	}

	putSt(index: number, bytes: Uint8Array): void {
		this.state.set(bytes, STATE_FX + FX_ST + index * 16)
	}

	/** A case's bytes at a linear address; what lies outside the data region is left out. */
	poke(address: bigint, bytes: Uint8Array): void {
		for (const start of [map.DATA_VA, map.HIGH_VA]) {
			const offset = Number(address - BigInt(start))
			if (offset <= -bytes.length || offset >= map.DATA_SIZE) continue
			const from = Math.max(0, -offset)
			const to = Math.min(bytes.length, map.DATA_SIZE - offset)
			this.memory.push({ offset: offset + from, bytes: bytes.slice(from, to) })
		}
	}

	/** All of these bytes can be read. */
	isMapped(address: bigint, size: number): boolean {
		return this.peek(address, size) !== undefined
	}

	/** The bytes at a linear address as the case will find them, undefined where a page is missing. */
	peek(address: bigint, size: number): bigint | undefined {
		const start = address >= BigInt(map.HIGH_VA) ? map.HIGH_VA : map.DATA_VA
		const offset = Number(address - BigInt(start))
		if (offset < 0 || offset + size > map.DATA_SIZE) return undefined
		const region = map.BACKGROUND.slice()
		for (const patch of this.memory) region.set(patch.bytes, patch.offset)
		let value = 0n
		for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(region[offset + i] as number)
		return value
	}

	/**
	 * A linear address for an operand of `size` bytes, naturally aligned more often than not.
	 * One in 14 is hostile: read-only, missing, across the edge of either, or not canonical.
	 */
	pickTarget(size: number, high: boolean): bigint {
		const { random } = this
		const start = BigInt(high ? map.HIGH_VA : map.DATA_VA)
		if (random.oneIn(14)) return this.pickHostileTarget(size, start)
		const kind = random.below(size >= 16 ? 24 : 10)
		if (kind === 0 && size > 1) return start + BigInt(random.pick([0x1000, 0x2000]) - 1 - random.below(size - 1))
		const offset = 0x20 + random.below(map.READ_ONLY_OFFSET - 0x20 - Math.max(size, 16))
		const alignment = size & -size
		return start + BigInt(kind < 3 ? offset : offset - (offset % alignment))
	}

	private pickHostileTarget(size: number, start: bigint): bigint {
		const { random } = this
		const inside = 1 + random.below(Math.max(1, size - 1))
		switch (random.below(this.compat ? 5 : 7)) {
			case 0:
				return start + BigInt(map.READ_ONLY_OFFSET + random.below(0x800) * 2)
			case 1:
				return start + BigInt(map.READ_ONLY_OFFSET - inside)
			case 2:
				return start + BigInt(map.DATA_SIZE - inside)
			case 3:
				return start + BigInt(map.DATA_SIZE + random.below(0x100) * 16)
			case 4:
				return start - BigInt(size - 1 + random.below(0x400))
			case 5:
				return (BigInt(0x8000 + random.below(0x7000)) << 32n) | BigInt(random.u32() & ~15)
			default:
				return random.pick([0x8000_0000_0000_0000n, 0xffff_7fff_ffff_fff0n, 0x0000_8000_0000_0000n, 0x1234_5678_9abc_def0n])
		}
	}

	/** Decides on address size and segment, once for the instruction, and adds their prefixes. */
	useAddressing(): Addressing {
		const { random } = this
		if (this.addressing) return this.addressing
		const address32 = this.compat || random.oneIn(12)
		let segment = 0
		if (random.oneIn(12)) segment = this.compat ? 0x65 : random.pick([0x64, 0x65])
		else if (random.oneIn(25)) segment = random.pick(this.compat ? DATA_PREFIXES : SEGMENT_PREFIXES)
		const bases: Record<number, number> = this.compat ? { 101: map.GS32_BASE } : { 100: map.FS_BASE, 101: map.GS_BASE }
		if (address32 && !this.compat) this.addPrefix(0x67)
		if (segment) this.addPrefix(segment)
		this.addressing = { address32, segment, segmentBase: BigInt(bases[segment] ?? 0) }
		return this.addressing
	}

	/** Chooses a target and encodes a memory operand of `size` bytes that reaches it. Returns the linear address. */
	addMemoryOperand(regField: number, size: number, target?: bigint): bigint {
		const { random } = this
		const { address32, segment, segmentBase } = this.useAddressing()
		const reachesHigh = !address32 && random.oneIn(2)
		const nearGs = segment === 0x65 && address32
		const nearLimit = 0xffff_ff00n
		let linear = target ?? this.pickTarget(size, reachesHigh || (nearGs && !this.compat))
		// A segment's limit counts in compatibility code, and our processor has no such check.
		if (this.compat && BigInt.asUintN(32, linear - segmentBase) > nearLimit) linear += 0x800n
		const effective = BigInt.asUintN(address32 ? 32 : 64, linear - segmentBase)
		this.encodeMemory(regField, effective, address32)
		return BigInt.asUintN(this.compat ? 32 : 64, effective + segmentBase)
	}

	/** ModRM, SIB and displacement for an effective address, with registers set so that they add up to it. */
	private encodeMemory(regField: number, effective: bigint, address32: boolean): void {
		const { random } = this
		const width = address32 ? 32 : 64
		const signed = BigInt.asIntN(width, effective)
		const absolute = signed === BigInt.asIntN(32, signed)
		const form = random.below(7)
		const reg = (regField & 7) << 3
		if (this.rex) this.rexBits |= regField & 8 ? 4 : 0
		if (form === 5 && absolute) {
			const bytes = littleEndian(BigInt.asUintN(32, signed), 4)
			this.modrmBytes = this.compat ? [5 | reg, ...bytes] : [4 | reg, 0x25, ...bytes]
			return
		}
		if (form === 6 && !this.compat && absolute) {
			this.modrmBytes = [5 | reg, 0, 0, 0, 0]
			this.ripTarget = signed
			return
		}
		if (form === 4) {
			this.encodeIndexOnly(reg, signed, width)
			return
		}
		const base = this.pickRegister()
		const withIndex = form === 3
		const index = this.pickIndex(base)
		const scale = random.below(4)
		let mod = form === 2 ? 2 : form === 1 ? 1 : withIndex ? random.below(3) : 0
		if (mod === 0 && (base & 7) === 5) mod = 1
		const displacement =
			mod === 0 ? 0 : mod === 1 ? (random.u32() << 24) >> 24 : random.oneIn(2) ? random.u32() | 0 : random.below(0x2000) - 0x1000
		let rest = signed - BigInt(displacement)
		if (withIndex) {
			const value = random.oneIn(2) ? BigInt(random.below(128) - 64) : random.u64()
			this.setAddressRegister(index, value, width)
			rest -= value << BigInt(scale)
		}
		this.setAddressRegister(base, rest, width)
		this.rexBits |= base & 8 ? 1 : 0
		const disp = mod === 0 ? [] : littleEndian(BigInt.asUintN(32, BigInt(displacement)), mod === 1 ? 1 : 4)
		if (withIndex) {
			this.rexBits |= index & 8 ? 2 : 0
			this.modrmBytes = [(mod << 6) | reg | 4, (scale << 6) | ((index & 7) << 3) | (base & 7), ...disp]
		} else if ((base & 7) === RSP) this.modrmBytes = [(mod << 6) | reg | 4, 0x24, ...disp]
		else this.modrmBytes = [(mod << 6) | reg | (base & 7), ...disp]
	}

	private encodeIndexOnly(reg: number, signed: bigint, width: number): void {
		const { random } = this
		const index = this.pickIndex(-1)
		const scale = random.below(4)
		let displacement = BigInt(random.u32() | 0)
		displacement += (signed - displacement) & ((1n << BigInt(scale)) - 1n)
		if (displacement !== BigInt.asIntN(32, displacement)) displacement -= 8n
		const wrapped = random.oneIn(3) ? random.u64() << BigInt(width - scale) : 0n
		this.setAddressRegister(index, ((signed - displacement) >> BigInt(scale)) + wrapped, width)
		this.rexBits |= index & 8 ? 2 : 0
		this.modrmBytes = [reg | 4, (scale << 6) | ((index & 7) << 3) | 5, ...littleEndian(BigInt.asUintN(32, displacement), 4)]
	}

	private pickIndex(notThis: number): number {
		for (;;) {
			const index = this.pickRegister()
			if (index !== RSP && index !== notThis) return index
		}
	}

	/** 32-bit addressing leaves garbage in the upper half. */
	private setAddressRegister(register: number, value: bigint, width: number): void {
		const garbage = width === 32 ? (this.random.u64() >> 32n) << 32n : 0n
		this.setGpr(register, BigInt.asUintN(width, value) | garbage)
		this.memoryRegisters.add(register)
	}

	addRegisterOperand(regField: number, register: number): void {
		this.rexBits |= (regField & 8 ? 4 : 0) | (register & 8 ? 1 : 0)
		this.modrmBytes = [0xc0 | ((regField & 7) << 3) | (register & 7)]
	}

	/** Register in the opcode's low bits. */
	addOpcodeRegister(register: number): void {
		this.rexBits |= register & 8 ? 1 : 0
		this.opcodeRegister = register & 7
	}

	addImmediate(value: bigint, size: number): void {
		this.immediateBytes.push(...littleEndian(BigInt.asUintN(size * 8, value), size))
	}

	get modrmRegField(): number {
		return ((this.modrmBytes[0] ?? 0) >> 3) & 7
	}

	get lastImmediateByte(): number {
		return this.immediateBytes.at(-1) ?? 0
	}

	replaceImmediate(value: bigint, size: number): void {
		this.immediateBytes = []
		this.addImmediate(value, size)
	}

	addFixedModrm(byte: number): void {
		this.modrmBytes = [byte]
	}

	/** Length of the instruction under test. */
	get length(): number {
		return this.assemble().length
	}

	private assemble(): number[] {
		const { encoding } = this
		const opcode = [...encoding.bytes]
		opcode[opcode.length - 1] = (opcode.at(-1) as number) + this.opcodeRegister
		const mandatory = encoding.prefix ? [encoding.prefix] : []
		const rex = this.rex ? [0x40 | this.rexBits] : []
		if (opcode[0] === 0xf3 || opcode[0] === 0xf2) mandatory.push(opcode.shift() as number)
		const code = [...this.ignoredRex, ...this.legacyPrefixes, ...mandatory, ...rex, ...opcode, ...this.modrmBytes, ...this.immediateBytes]
		if (this.ripTarget !== undefined) {
			const at = code.length - this.immediateBytes.length - 4
			const next = BigInt(this.rip + code.length)
			code.splice(at, 4, ...littleEndian(BigInt.asUintN(32, this.ripTarget - next), 4))
		}
		return code
	}

	finish(): IsaCase {
		const room = map.CODE_VA + map.CODE_SIZE - this.rip
		const code = Uint8Array.from([...this.assemble(), ...this.epilogue].slice(0, room))
		const { label, base, compat, state, memory, undefinedFlags, undefinedStatus, tolerance } = this
		return { label, code, base, compat, state, memory, undefinedFlags, undefinedStatus, tolerance }
	}
}
