// x87 instructions: what every one begins and ends with. The instructions are in x87/ by their operands, the stack and the status word in
// x87/state.ts; arithmetic is in softfloat80.ts, conversions in softfloat80_convert.ts, functions in trigonometric80.ts and logarithm80.ts.

import { CPU_CR0, CPU_FDP, CPU_FIP, CPU_FOP, CPU_GPR, REC_MODRM, REC_OFF, REC_OPCODE, SLOT_PAGE } from './layout'
import { cpu, ea, FAULT, raise, readPtr, writeEnd, writePtr } from './mem'
import { isMemory } from './sse_common'
import * as soft from './softfloat'
import { initialiseX87, loadEnvironment, restoreX87, saveX87, setControlWord, storeEnvironment } from './x87/environment'
import { beginX87, fcw, FSW_ES, fsw, setFsw } from './x87/state'
import * as op from './generated/ops'
import { executeMemory } from './x87/memory'
import { executeRegister } from './x87/registers'

const CR0_MP_TS: u32 = 0xa
const CR0_EM_TS: u32 = 0xc

/** Executes one x87 record. Returns 0 when it retired, 1 when it raised an exception and changed nothing. */
export function executeX87(rec: usize, operation: i32): i32 {
	const cr0 = load<u32>(cpu, CPU_CR0)
	if (operation == op.OP_FWAIT) {
		if ((cr0 & CR0_MP_TS) == CR0_MP_TS) return raise(7, 0)
		return fsw() & FSW_ES ? raise(16, 0) : 0
	}
	if (cr0 & CR0_EM_TS) return raise(7, 0)
	switch (operation) {
		case op.OP_FNSTCW:
			return storeWord(rec, fcw())
		case op.OP_FNSTSW_M16:
			return storeWord(rec, fsw())
		case op.OP_FNSTSW_AX:
			store<u16>(cpu, fsw(), CPU_GPR)
			return 0
		case op.OP_FNSTENV:
			return storeEnvironment(rec)
		case op.OP_FNSAVE:
			return saveX87(rec)
		case op.OP_FNINIT:
			initialiseX87()
			return 0
		case op.OP_FNCLEX:
			setFsw(fsw() & 0x7f00)
			return 0
		case op.OP_FNNOP:
			return 0
		default:
	}
	if (fsw() & FSW_ES) return raise(16, 0)
	switch (operation) {
		case op.OP_FLDCW: {
			const s = readPtr(ea(rec), 2)
			if (s == FAULT) return 1
			setControlWord(<u32>load<u16>(s))
			return 0
		}
		case op.OP_FLDENV:
			return loadEnvironment(rec)
		case op.OP_FRSTOR:
			return restoreX87(rec)
		default:
	}
	beginX87()
	const failed = isMemory(rec) ? executeMemory(rec, operation) : executeRegister(rec, operation)
	// SSE accumulates in the same flags.
	soft.clearFlags()
	if (!failed) notePointers(rec)
	return failed
}

/** The last instruction's opcode (11 bits), address and operand address. */
function notePointers(rec: usize): void {
	store<u16>(cpu, ((<u32>load<u8>(rec, REC_OPCODE) & 7) << 8) | <u32>load<u8>(rec, REC_MODRM), CPU_FOP)
	store<u64>(cpu, load<u64>(cpu, SLOT_PAGE) + <u64>load<u16>(rec, REC_OFF), CPU_FIP)
	if (isMemory(rec)) store<u64>(cpu, ea(rec), CPU_FDP)
}

function storeWord(rec: usize, value: u32): i32 {
	const p = writePtr(ea(rec), 2)
	if (p == FAULT) return 1
	store<u16>(p, value)
	return writeEnd() ? 0 : 1
}
