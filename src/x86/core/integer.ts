// General executor of the integer instructions: every form and size, by family in integer/. The main loop's specialised operations are shortcuts of these.
//
// Order inside an instruction: everything that can fault comes first; registers and flags change only when nothing can fault any more.

import * as L from "./layout";
import * as S from "./state";
import { cpu, raise } from "./state";
import { ea } from "./mem";
import { NEXT, FAULTED, LEAVE } from "./execute";
import { executeString } from "./strings";
import { executeSystem } from "./system";
import { setFlags, statusFlags, carry, condition, CF, OF } from "./flags";
import { fault, isCode64, setRegister, getRegister, readMemory, writeMemory, readRm, reg, rm, writeRm, mask, signExtend } from "./integer/operands";
import { executeArithmetic, executeUnary } from "./integer/arithmetic";
import { executeShift, executeDoubleShift } from "./integer/shift";
import { executeMultiply, executeDivide, executeMultiplyTo } from "./integer/multiply";
import { executeBitTest, executeBitScan } from "./integer/bits";
import { executeCompareExchange, executeCompareExchangeWide, executeExchange, executeExchangeAdd } from "./integer/exchange";
import { stackAddress, stackPointer, setStackPointer, push, peek, executePop, executeEnter, executePushAll, executePopAll, flagsImage, setFlagsImage } from "./integer/stack";
import { nextAddress, jumpTo, refuseTarget, relativeTarget, counterSize, executeLoop, executeCall, executeReturn } from "./integer/branch";
import { executeDecimal } from "./integer/decimal";
import {
  OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP, OP_TEST, OP_MOV, OP_XCHG, OP_XCHG_A, OP_LEA, OP_MOVZX_B, OP_MOVZX_W, OP_MOVSX_B, OP_MOVSX_W,
  OP_MOVSXD, OP_INC, OP_DEC, OP_NEG, OP_NOT, OP_MUL, OP_IMUL1, OP_IMUL2, OP_IMUL3, OP_DIV, OP_IDIV, OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAR,
  OP_ROL_1, OP_ROR_1, OP_RCL_1, OP_RCR_1, OP_SHL_1, OP_SHR_1, OP_SAR_1, OP_ROL_CL, OP_ROR_CL, OP_RCL_CL, OP_RCR_CL, OP_SHL_CL, OP_SHR_CL, OP_SAR_CL, OP_SHLD,
  OP_SHRD, OP_SHLD_CL, OP_SHRD_CL, OP_BT, OP_BTS, OP_BTR, OP_BTC, OP_BT_I, OP_BTS_I, OP_BTR_I, OP_BTC_I, OP_BSF, OP_BSR, OP_BSWAP, OP_CMPXCHG, OP_CMPXCHG8B,
  OP_XADD, OP_CBW, OP_CWD, OP_SETCC, OP_CMOVCC, OP_JCC, OP_JMP, OP_JMP_E, OP_CALL, OP_CALL_E, OP_RET, OP_RET_I, OP_JCXZ, OP_LOOP, OP_LOOPE, OP_LOOPNE, OP_PUSH,
  OP_PUSH_I, OP_POP, OP_PUSHF, OP_POPF, OP_LEAVE, OP_ENTER, OP_PUSHA, OP_POPA, OP_LAHF, OP_SAHF, OP_CLC, OP_STC, OP_CMC, OP_CLD, OP_STD, OP_XLAT, OP_MOV_A_O,
  OP_MOV_O_A, OP_NOP, OP_PAUSE, OP_DAA, OP_DAS, OP_AAA, OP_AAS, OP_AAM, OP_AAD, OP_SALC, OP_BOUND, OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS,
} from "./generated/ops";

const DF: u32 = 0x400;

function executeMov(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const opcode = load<u8>(rec, L.REC_OPCODE);
  if (opcode >= 0xb0) return writeRm(rec, size, load<u64>(rec, L.REC_IMM)) ? NEXT : FAULTED;
  if (opcode < 0x8a) return writeRm(rec, size, getRegister(reg(rec), size)) ? NEXT : FAULTED;
  const value = readRm(rec, size);
  if (fault) return FAULTED;
  setRegister(reg(rec), size, value);
  return NEXT;
}

/** MOVZX and MOVSX from `from` bytes. */
function executeExtend(rec: usize, from: u32, signed: bool): i32 {
  const value = readRm(rec, from);
  if (fault) return FAULTED;
  setRegister(reg(rec), <u32>load<u8>(rec, L.REC_OPSIZE), signed ? <u64>signExtend(value, from) : value);
  return NEXT;
}

/** Address of an `mo` operand. */
function offsetAddress(rec: usize): u64 {
  const va = load<u64>(rec, L.REC_IMM) + load<u64>(cpu + load<u8>(rec, L.REC_SEG));
  return isCode64() ? va : va & 0xffffffff;
}

export function executeInteger(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  switch (op) {
    case OP_ADD: case OP_OR: case OP_ADC: case OP_SBB: case OP_AND: case OP_SUB: case OP_XOR: case OP_CMP: case OP_TEST:
      return executeArithmetic(rec, op);
    case OP_MOV: return executeMov(rec);
    case OP_LEA: setRegister(reg(rec), size, ea(rec)); return NEXT;
    case OP_MOVZX_B: return executeExtend(rec, 1, false);
    case OP_MOVZX_W: return executeExtend(rec, 2, false);
    case OP_MOVSX_B: return executeExtend(rec, 1, true);
    case OP_MOVSX_W: return executeExtend(rec, 2, true);
    case OP_MOVSXD: {
      const value = readRm(rec, size < 4 ? 2 : 4);
      if (fault) return FAULTED;
      setRegister(reg(rec), size, <u64><i64><i32>value);
      return NEXT;
    }
    case OP_XCHG: return executeExchange(rec);
    case OP_XCHG_A: {
      const x = getRegister(rm(rec), size);
      setRegister(rm(rec), size, getRegister(0, size));
      setRegister(0, size, x);
      return NEXT;
    }
    case OP_INC: case OP_DEC: case OP_NEG: case OP_NOT: return executeUnary(rec, op);
    case OP_MUL: return executeMultiply(rec, false);
    case OP_IMUL1: return executeMultiply(rec, true);
    case OP_DIV: return executeDivide(rec, false);
    case OP_IDIV: return executeDivide(rec, true);
    case OP_IMUL2: {
      const y = readRm(rec, size);
      return fault ? FAULTED : executeMultiplyTo(rec, y, getRegister(reg(rec), size));
    }
    case OP_IMUL3: {
      const y = readRm(rec, size);
      return fault ? FAULTED : executeMultiplyTo(rec, y, load<u64>(rec, L.REC_IMM));
    }
    case OP_ROL: case OP_ROR: case OP_RCL: case OP_RCR: case OP_SHL: case OP_SHR: case OP_SAR: return executeShift(rec, op, load<u64>(rec, L.REC_IMM));
    case OP_ROL_1: return executeShift(rec, OP_ROL, 1);
    case OP_ROR_1: return executeShift(rec, OP_ROR, 1);
    case OP_RCL_1: return executeShift(rec, OP_RCL, 1);
    case OP_RCR_1: return executeShift(rec, OP_RCR, 1);
    case OP_SHL_1: return executeShift(rec, OP_SHL, 1);
    case OP_SHR_1: return executeShift(rec, OP_SHR, 1);
    case OP_SAR_1: return executeShift(rec, OP_SAR, 1);
    case OP_ROL_CL: return executeShift(rec, OP_ROL, load<u8>(cpu + 8));
    case OP_ROR_CL: return executeShift(rec, OP_ROR, load<u8>(cpu + 8));
    case OP_RCL_CL: return executeShift(rec, OP_RCL, load<u8>(cpu + 8));
    case OP_RCR_CL: return executeShift(rec, OP_RCR, load<u8>(cpu + 8));
    case OP_SHL_CL: return executeShift(rec, OP_SHL, load<u8>(cpu + 8));
    case OP_SHR_CL: return executeShift(rec, OP_SHR, load<u8>(cpu + 8));
    case OP_SAR_CL: return executeShift(rec, OP_SAR, load<u8>(cpu + 8));
    case OP_SHLD: return executeDoubleShift(rec, true, load<u64>(rec, L.REC_IMM));
    case OP_SHRD: return executeDoubleShift(rec, false, load<u64>(rec, L.REC_IMM));
    case OP_SHLD_CL: return executeDoubleShift(rec, true, load<u8>(cpu + 8));
    case OP_SHRD_CL: return executeDoubleShift(rec, false, load<u8>(cpu + 8));
    case OP_BT: return executeBitTest(rec, 0, false);
    case OP_BTS: return executeBitTest(rec, 1, false);
    case OP_BTR: return executeBitTest(rec, 2, false);
    case OP_BTC: return executeBitTest(rec, 3, false);
    case OP_BT_I: return executeBitTest(rec, 0, true);
    case OP_BTS_I: return executeBitTest(rec, 1, true);
    case OP_BTR_I: return executeBitTest(rec, 2, true);
    case OP_BTC_I: return executeBitTest(rec, 3, true);
    case OP_BSF: return executeBitScan(rec, false);
    case OP_BSR: return executeBitScan(rec, true);
    case OP_BSWAP: {
      // With a 16-bit operand the result is undefined; processors give zero.
      const x = getRegister(rm(rec), size);
      setRegister(rm(rec), size, size == 8 ? bswap<u64>(x) : size == 4 ? <u64>bswap<u32>(<u32>x) : 0);
      return NEXT;
    }
    case OP_CMPXCHG: return executeCompareExchange(rec);
    case OP_CMPXCHG8B: return executeCompareExchangeWide(rec);
    case OP_XADD: return executeExchangeAdd(rec);
    case OP_CBW: setRegister(0, size, <u64>signExtend(getRegister(0, size >> 1), size >> 1)); return NEXT;
    case OP_CWD: setRegister(16, size, <u64>(signExtend(getRegister(0, size), size) >> 63)); return NEXT;
    case OP_SETCC: return writeRm(rec, 1, condition(load<u8>(rec, L.REC_CC)) ? 1 : 0) ? NEXT : FAULTED;
    case OP_CMOVCC: {
      const value = readRm(rec, size);
      if (fault) return FAULTED;
      setRegister(reg(rec), size, condition(load<u8>(rec, L.REC_CC)) ? value : getRegister(reg(rec), size));
      return NEXT;
    }
    case OP_JCC: return condition(load<u8>(rec, L.REC_CC)) ? jumpTo(rec, relativeTarget(rec)) : NEXT;
    case OP_JMP: return jumpTo(rec, relativeTarget(rec));
    case OP_JMP_E: {
      const target = readRm(rec, size);
      return fault || refuseTarget(target) ? FAULTED : jumpTo(rec, target);
    }
    case OP_CALL: return executeCall(rec, relativeTarget(rec));
    case OP_CALL_E: {
      const target = readRm(rec, size);
      return fault ? FAULTED : executeCall(rec, target);
    }
    case OP_RET: return executeReturn(rec, 0);
    case OP_RET_I: return executeReturn(rec, load<u32>(rec, L.REC_IMM) & 0xffff);
    case OP_JCXZ: return getRegister(8, counterSize(rec)) ? NEXT : jumpTo(rec, relativeTarget(rec));
    case OP_LOOP: case OP_LOOPE: case OP_LOOPNE: return executeLoop(rec, op);
    case OP_PUSH: {
      const value = readRm(rec, size);
      return !fault && push(value, size) ? NEXT : FAULTED;
    }
    case OP_PUSH_I: return push(load<u64>(rec, L.REC_IMM), size) ? NEXT : FAULTED;
    case OP_POP: return executePop(rec);
    case OP_PUSHF: return push(flagsImage() & 0xfcffff, size) ? NEXT : FAULTED;
    case OP_POPF: {
      const value = peek(0, size);
      if (fault) return FAULTED;
      setStackPointer(stackPointer() + size);
      setFlagsImage(value, size);
      // Trap and alignment flags take effect in run().
      store<u64>(cpu + L.CPU_RIP, nextAddress(rec));
      S.setExit(L.EXIT_BUDGET);
      return load<u32>(cpu + L.CPU_RFLAGS) & 0x40100 ? LEAVE : NEXT;
    }
    case OP_LEAVE: {
      const sp = isCode64() ? load<u64>(cpu + 40) : <u64>load<u32>(cpu + 40);
      const value = readMemory(stackAddress(sp), size);
      if (fault) return FAULTED;
      setStackPointer(sp + size);
      setRegister(40, size, value);
      return NEXT;
    }
    case OP_ENTER: return executeEnter(rec);
    case OP_PUSHA: return executePushAll(size);
    case OP_POPA: return executePopAll(size);
    case OP_LAHF: store<u8>(cpu + 1, <u8>((statusFlags() & 0xd5) | 2)); return NEXT;
    case OP_SAHF: setFlags((statusFlags() & OF) | (<u32>load<u8>(cpu + 1) & 0xd5)); return NEXT;
    case OP_CLC: setFlags(statusFlags() & ~CF); return NEXT;
    case OP_STC: setFlags(statusFlags() | CF); return NEXT;
    case OP_CMC: setFlags(statusFlags() ^ CF); return NEXT;
    case OP_CLD: store<u32>(cpu + L.CPU_RFLAGS, load<u32>(cpu + L.CPU_RFLAGS) & ~DF); return NEXT;
    case OP_STD: store<u32>(cpu + L.CPU_RFLAGS, load<u32>(cpu + L.CPU_RFLAGS) | DF); return NEXT;
    case OP_XLAT: {
      const width = counterSize(rec);
      const va = ((load<u64>(cpu + 24) + <u64>load<u8>(cpu)) & mask(width)) + load<u64>(cpu + load<u8>(rec, L.REC_SEG));
      const value = readMemory(isCode64() ? va : va & 0xffffffff, 1);
      if (fault) return FAULTED;
      store<u8>(cpu, <u8>value);
      return NEXT;
    }
    case OP_MOV_A_O: {
      const value = readMemory(offsetAddress(rec), size);
      if (fault) return FAULTED;
      setRegister(0, size, value);
      return NEXT;
    }
    case OP_MOV_O_A: return writeMemory(offsetAddress(rec), size, getRegister(0, size)) ? NEXT : FAULTED;
    case OP_NOP: case OP_PAUSE: return NEXT;
    case OP_DAA: case OP_DAS: case OP_AAA: case OP_AAS: case OP_AAM: case OP_AAD: return executeDecimal(rec, op);
    case OP_SALC: store<u8>(cpu, carry() ? 0xff : 0); return NEXT;
    case OP_BOUND: {
      const va = ea(rec);
      const low = signExtend(readMemory(va, size), size);
      if (fault) return FAULTED;
      const high = signExtend(readMemory(va + size, size), size);
      if (fault) return FAULTED;
      const x = signExtend(getRegister(reg(rec), size), size);
      return x < low || x > high ? raise(5, 0) : NEXT;
    }
    case OP_MOVS: case OP_CMPS: case OP_STOS: case OP_LODS: case OP_SCAS: return executeString(rec, op);
    default: return executeSystem(rec, op);
  }
}
