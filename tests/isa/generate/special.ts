// Instructions whose operands need more than random values: what they address, jump to, divide or count must be chosen with care.
// Keyed by Encoding.key (opcode bytes and ModRM digit), so that nothing here depends on how the opcode table names operations.

import {
	accumulator,
	bitTest,
	byCl,
	byteSwap,
	compareExchange,
	compareExchangePair,
	divide,
	doubleShiftByCl,
	doubleShiftImmediate,
	multiply,
	shiftImmediate,
} from './special/arithmetic.ts'
import type { Special } from './special/common.ts'
import {
	farImmediate,
	farMemory,
	jumpIndirect,
	jumpRelative,
	loop,
	returnFar,
	returnFromInterrupt,
	returnNear,
	softwareInterrupt,
} from './special/control.ts'
import {
	absoluteMove,
	blendByXmm0,
	bound,
	convertPackedIntegers,
	explicitStrings,
	fxrstor,
	fxsave,
	implicitStrings,
	loadEnvironment,
	loadMxcsr,
	maskMove,
	memoryOnly,
	storeEnvironment,
	tableLookup,
} from './special/memory.ts'
import { controlRegister, fromSegment, loadFarPointer, selectorOperand, toSegment } from './special/segments.ts'
import { enter, leave, pop, popAll, popFlags, popSegment, push, pushAll } from './special/stack.ts'
import { string } from './special/strings.ts'

function skip(): boolean {
	return false
}

const keys = (pattern: string, digits: readonly number[] = []): string[] =>
	digits.length > 0 ? digits.map((digit) => `${pattern} /${digit}`) : pattern.split(',')
const hexRange = (prefix: string, from: number, to: number): string[] =>
	Array.from({ length: to - from + 1 }, (_, i) => `${prefix}${(from + i).toString(16).toUpperCase().padStart(2, '0')}`)
const FIRST_SHIFT = [0, 1, 2, 3, 4, 5, 6, 7]

const TABLE: readonly (readonly [keys: readonly string[], special: Special])[] = [
	// System calls, what counts time, is random or names the processor, what Linux emulates (UMIP), what depends on CR4, UD0 and UD1 (how long are they?).
	[keys('0F 05,0F 34,0F 31,0F 01 F9,0F A2,0F 01 D0,0F 01 D1,F1,0F 33,0F 35,0F FF,0F B9'), skip],
	[[...keys('0F 00', [0, 1]), ...keys('0F 01', [0, 1, 4]), ...keys('0F C7', [6, 7])], skip],
	[[...keys('F6', [6, 7]), ...keys('F7', [6, 7])], divide],
	[[...keys('F6', [4, 5]), ...keys('F7', [4, 5])], multiply],
	[keys('0F A3,0F AB,0F B3,0F BB'), bitTest],
	[keys('0F B0,0F B1'), compareExchange],
	[['0F C7 /1'], compareExchangePair],
	[keys('0F A4,0F AC'), doubleShiftImmediate],
	[keys('0F A5,0F AD'), doubleShiftByCl],
	[[...keys('D2', FIRST_SHIFT), ...keys('D3', FIRST_SHIFT)], byCl],
	[[...keys('C0', FIRST_SHIFT), ...keys('C1', FIRST_SHIFT)], shiftImmediate],
	[['0F C8'], byteSwap],
	[keys('9E,9F,27,2F,37,3F,D4,D5,D6'), accumulator],
	[[...hexRange('', 0xa4, 0xa7), ...hexRange('', 0xaa, 0xaf)], string],
	[keys('50,68,6A,9C,FF /6'), push],
	[keys('58,8F /0'), pop],
	[keys('07,17,1F,0F A1,0F A9'), popSegment],
	[keys('06,0E,16,1E,0F A0,0F A8'), pushAll],
	[['9D'], popFlags],
	[['60'], pushAll],
	[['61'], popAll],
	[['C8'], enter],
	[['C9'], leave],
	[[...hexRange('', 0x70, 0x7f), ...hexRange('0F ', 0x80, 0x8f), ...keys('E8,E9,EB')], jumpRelative],
	[hexRange('', 0xe0, 0xe3), loop],
	[keys('FF', [2, 4]), jumpIndirect],
	[keys('C2,C3'), returnNear],
	[keys('FF', [3, 5]), farMemory],
	[keys('9A,EA'), farImmediate],
	[keys('CA,CB'), returnFar],
	[['CF'], returnFromInterrupt],
	[['CD'], softwareInterrupt],
	[[...keys('0F 02,0F 03,63'), ...keys('0F 00', [2, 3, 4, 5])], selectorOperand],
	[keys('C4,C5,0F B2,0F B4,0F B5'), loadFarPointer],
	[['8C'], fromSegment],
	[['8E'], toSegment],
	[keys('0F 20,0F 21,0F 22,0F 23'), controlRegister],
	[['0F 0D'], memoryOnly],
	[['0F 2A'], convertPackedIntegers],
	[['D7'], tableLookup],
	[keys('A0,A1,A2,A3'), absoluteMove],
	[['62'], bound],
	[['0F AE /0'], fxsave],
	[['0F AE /1'], fxrstor],
	[['0F AE /2'], loadMxcsr],
	[keys('D9 /6,DD /6'), storeEnvironment],
	[keys('D9 /4,DD /4'), loadEnvironment],
	[keys('0F 3A 60,0F 3A 61'), explicitStrings],
	[keys('0F 3A 62,0F 3A 63'), implicitStrings],
	[['0F F7'], maskMove],
	[keys('0F 38 10,0F 38 14,0F 38 15'), blendByXmm0],
]

const SPECIALS: ReadonlyMap<string, Special> = new Map(TABLE.flatMap(([list, special]) => list.map((key) => [key, special] as const)))

/** Nothing about this encoding can be compared. */
export function isSkipped(key: string): boolean {
	return SPECIALS.get(key) === skip
}

export function specialFor(key: string): Special | undefined {
	return SPECIALS.get(key)
}
