// Segment, system and privileged instructions, and transfers through CS. Everything runs at CPL 3 with IOPL 0: what needs more leaves the loop
// with EXIT_PRIVILEGED and its operands, for the hypervisor to emulate or refuse.

import * as L from "./layout";
import * as S from "./state";
import { cpu, raise } from "./state";
import { ea, readPtr, FAULT } from "./mem";
import { NEXT, FAULTED, LEAVE, JUMP } from "./execute";
import { readRm, writeRm, writeMemory, readMemory, setRegister, getRegister, isMemory, isCode64, fault, reg, rm, loadSized } from "./integer/operands";
import { push, peek, stackPointer, setStackPointer, setFlagsImage, flagsImage } from "./integer/stack";
import { nextAddress } from "./integer/branch";
import { setFlags, statusFlags, CF, ZF, OF } from "./flags";
import { random32, readTsc } from "./host";
import {
  loadDataSegment, checkCode, loadCode, segmentVector, segmentError, findDescriptor, descriptorHigh, descriptorLimit, ES, SS, DS, FS, GS, CS,
} from "./segments";
import {
  OP_MOV_S_E, OP_MOV_E_S, OP_PUSH_SEG, OP_POP_SEG, OP_LES, OP_LDS, OP_LSS, OP_LFS, OP_LGS, OP_RETF, OP_RETF_I, OP_IRET, OP_JMP_FAR_E, OP_CALL_FAR_E,
  OP_JMP_FAR_I, OP_CALL_FAR_I, OP_SYSCALL, OP_SYSENTER, OP_SYSRET, OP_SYSEXIT, OP_INT, OP_INT3, OP_INT1, OP_INTO, OP_CPUID, OP_RDTSC, OP_RDTSCP, OP_RDRAND, OP_RDPMC, OP_RDMSR,
  OP_WRMSR, OP_MOV_R_CR, OP_MOV_CR_R, OP_MOV_R_DR, OP_MOV_DR_R, OP_CLI, OP_STI, OP_HLT, OP_CLTS, OP_INVLPG, OP_INVD, OP_WBINVD, OP_LGDT, OP_LIDT, OP_LLDT, OP_LTR,
  OP_LMSW, OP_SWAPGS, OP_XGETBV, OP_XSETBV, OP_SGDT, OP_SIDT, OP_SLDT, OP_STR, OP_SMSW, OP_LAR, OP_LSL, OP_VERR, OP_VERW, OP_ARPL, OP_IN, OP_IN_I, OP_OUT,
  OP_OUT_I, OP_INS, OP_OUTS, OP_UD0, OP_UD1, OP_UD2,
} from "./generated/ops";

function privileged(op: u32, register: u32 = 0): i32 {
  store<u32>(cpu + L.CPU_PRIV_OP, op);
  store<u32>(cpu + L.CPU_PRIV_REG, register);
  S.setExit(L.EXIT_PRIVILEGED);
  return FAULTED;
}

function portAccess(rec: usize, op: u32, port: u32): i32 {
  store<u32>(cpu + L.CPU_PRIV_SIZE, <u32>load<u8>(rec, L.REC_OPSIZE));
  store<u32>(cpu + L.CPU_PRIV_PORT, port);
  return privileged(op, <u32>load<u8>(rec, L.REC_FLAGS) & (L.RF_REP | L.RF_REPNE));
}

/** MOV CR/DR: bits 0..3 general register, 8..11 control or debug register. */
function registerMove(rec: usize, op: u32): i32 {
  const modrm = <u32>load<u8>(rec, L.REC_MODRM);
  return privileged(op, (rm(rec) >> 3) | (reg(rec) << 8) | (modrm & 0));
}

function segmentFault(): i32 {
  if (segmentVector == 14) return FAULTED;
  return raise(segmentVector, segmentError);
}

/** The next instruction's address goes to RIP and the loop is left. */
function leaveAfter(rec: usize, reason: i32): i32 {
  store<u64>(cpu + L.CPU_RIP, nextAddress(rec));
  S.setExit(reason);
  return LEAVE;
}

function trap(rec: usize, vector: u32): i32 {
  raise(vector, 0);
  return leaveAfter(rec, L.EXIT_EXCEPTION);
}

function segmentOfOpcode(opcode: u32): u32 {
  if (opcode == 0xa0 || opcode == 0xa1) return FS;
  if (opcode == 0xa8 || opcode == 0xa9) return GS;
  return opcode >> 3;
}

function loadPointer(rec: usize, segment: u32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const va = ea(rec);
  const offset = readMemory(va, size);
  if (fault) return FAULTED;
  const selector = <u32>readMemory(va + size, 2);
  if (fault) return FAULTED;
  if (!loadDataSegment(segment, selector)) return segmentFault();
  setRegister(reg(rec), size, offset);
  return NEXT;
}

/** Far jump or call to selector:offset. */
function farTransfer(rec: usize, selector: u32, offset: u64, call: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const old = <u64>load<u16>(cpu + L.CPU_SELECTORS + CS * 2);
  const back = nextAddress(rec);
  const sp = stackPointer();
  if (!checkCode(selector)) return segmentFault();
  if (call && !(push(old, size) && push(back, size))) {
    setStackPointer(sp);
    return FAULTED;
  }
  loadCode(selector);
  store<u64>(cpu + L.CPU_RIP, isCode64() ? offset : offset & 0xffffffff);
  return JUMP;
}

function farIndirect(rec: usize, call: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const va = ea(rec);
  const offset = readMemory(va, size);
  if (fault) return FAULTED;
  const selector = <u32>readMemory(va + size, 2);
  if (fault) return FAULTED;
  return farTransfer(rec, selector, offset, call);
}

function farReturn(rec: usize, release: u32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const offset = peek(0, size);
  if (fault) return FAULTED;
  const selector = <u32>peek(size, size);
  if (fault) return FAULTED;
  const sp = stackPointer() + 2 * size + release;
  if (!loadCode(selector)) return segmentFault();
  setStackPointer(sp);
  store<u64>(cpu + L.CPU_RIP, isCode64() ? offset : offset & 0xffffffff);
  return JUMP;
}

/** IRET at CPL 3: to the same level. In 64-bit mode SS:RSP are always popped. */
function interruptReturn(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const from64 = isCode64();
  const ip = peek(0, size);
  if (fault) return FAULTED;
  const cs = <u32>peek(size, size);
  if (fault) return FAULTED;
  const flags = peek(2 * size, size);
  if (fault) return FAULTED;
  let sp = stackPointer() + 3 * size;
  let ss: u32 = 0;
  if (from64) {
    sp = peek(3 * size, size);
    if (fault) return FAULTED;
    ss = <u32>peek(4 * size, size);
    if (fault) return FAULTED;
  }
  if (!checkCode(cs)) return segmentFault();
  if (from64 && !loadDataSegment(SS, ss)) return segmentFault();
  loadCode(cs);
  setStackPointer(sp);
  setFlagsImage(flags, size);
  store<u64>(cpu + L.CPU_RIP, isCode64() ? ip : ip & 0xffffffff);
  return JUMP;
}

function loadAccessOrLimit(rec: usize, limit: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const selector = <u32>readRm(rec, 2);
  if (fault) return FAULTED;
  let ok = (selector & 0xfffc) != 0 && findDescriptor(selector);
  if (ok) {
    const high = descriptorHigh;
    const dpl = (high >> 13) & 3;
    const type = (high >> 8) & 15;
    if (high & 0x1000) ok = (high & 0xc00) == 0xc00 || dpl == 3;
    else ok = dpl == 3 && (limit ? type == 2 || type == 9 || type == 11 : type == 2 || type == 9 || type == 11 || type == 12);
  }
  if (ok) setRegister(reg(rec), size, limit ? <u64>descriptorLimit() : <u64>(descriptorHigh & 0x00ffff00));
  setFlags((statusFlags() & ~ZF) | (ok ? ZF : 0));
  return NEXT;
}

function verify(rec: usize, write: bool): i32 {
  const selector = <u32>readRm(rec, 2);
  if (fault) return FAULTED;
  let ok = (selector & 0xfffc) != 0 && findDescriptor(selector) && (descriptorHigh & 0x1000) != 0;
  if (ok) {
    const high = descriptorHigh;
    const code = (high & 0x800) != 0;
    const dpl = (high >> 13) & 3;
    if (write) ok = !code && (high & 0x200) != 0 && dpl == 3;
    else ok = code ? (high & 0x200) != 0 && ((high & 0x400) != 0 || dpl == 3) : dpl == 3;
  }
  setFlags((statusFlags() & ~ZF) | (ok ? ZF : 0));
  return NEXT;
}

/** SGDT and SIDT: what Xen's own tables look like to a guest (a fixed address in Xen's area). */
function storeTable(rec: usize, limit: u32, base: u64): i32 {
  const va = ea(rec);
  const wide: u32 = isCode64() ? 8 : 4;
  // Both parts must be writable before either is stored.
  if (!writeMemory(va + 2, wide, base) || !writeMemory(va, 2, limit)) return FAULTED;
  return NEXT;
}

/** What RDTSC reads. */
export function timestamp(): u64 {
  return <u64>readTsc();
}

/** RDRAND and RDSEED: the host always has a number, so CF is always set. */
function randomNumber(rec: usize, size: u32): i32 {
  let x = <u64>random32();
  if (size == 8) x |= <u64>random32() << 32;
  setRegister(rm(rec), size, x);
  setFlags(CF);
  return NEXT;
}

export function executeSystem(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const opcode = <u32>load<u8>(rec, L.REC_OPCODE);
  switch (op) {
    case OP_MOV_E_S: {
      const register = reg(rec) & 7;
      if (register > GS) return raise(6, 0);
      const value = <u64>load<u16>(cpu + L.CPU_SELECTORS + register * 2);
      if (isMemory(rec)) return writeMemory(ea(rec), 2, value) ? NEXT : FAULTED;
      setRegister(rm(rec), size, value);
      return NEXT;
    }
    case OP_MOV_S_E: {
      const register = reg(rec) & 7;
      if (register > GS || register == CS) return raise(6, 0);
      const selector = <u32>readRm(rec, 2);
      if (fault) return FAULTED;
      return loadDataSegment(register, selector) ? NEXT : segmentFault();
    }
    case OP_PUSH_SEG: return push(<u64>load<u16>(cpu + L.CPU_SELECTORS + segmentOfOpcode(opcode) * 2), size) ? NEXT : FAULTED;
    case OP_POP_SEG: {
      const selector = <u32>peek(0, size);
      if (fault) return FAULTED;
      if (!loadDataSegment(segmentOfOpcode(opcode), selector)) return segmentFault();
      setStackPointer(stackPointer() + size);
      return NEXT;
    }
    case OP_LES: return loadPointer(rec, ES);
    case OP_LDS: return loadPointer(rec, DS);
    case OP_LSS: return loadPointer(rec, SS);
    case OP_LFS: return loadPointer(rec, FS);
    case OP_LGS: return loadPointer(rec, GS);
    case OP_RETF: return farReturn(rec, 0);
    case OP_RETF_I: return farReturn(rec, load<u32>(rec, L.REC_IMM) & 0xffff);
    case OP_IRET: return interruptReturn(rec);
    case OP_JMP_FAR_E: return farIndirect(rec, false);
    case OP_CALL_FAR_E: return farIndirect(rec, true);
    case OP_JMP_FAR_I: return farTransfer(rec, load<u16>(rec, L.REC_IMM + 4), <u64>load<u32>(rec, L.REC_IMM), false);
    case OP_CALL_FAR_I: return farTransfer(rec, load<u16>(rec, L.REC_IMM + 4), <u64>load<u32>(rec, L.REC_IMM), true);
    case OP_SYSCALL: return leaveAfter(rec, L.EXIT_SYSCALL);
    case OP_INT3: return trap(rec, 3);
    case OP_INT1: return trap(rec, 1);
    case OP_INTO: return statusFlags() & OF ? trap(rec, 4) : NEXT;
    case OP_INT: {
      store<u32>(cpu + L.CPU_EXC_VECTOR, load<u32>(rec, L.REC_IMM) & 0xff);
      store<u32>(cpu + L.CPU_EXC_ERROR, 0);
      return leaveAfter(rec, L.EXIT_SOFTINT);
    }
    case OP_CPUID: S.setExit(L.EXIT_CPUID); return FAULTED;
    case OP_RDTSC:
    case OP_RDTSCP: {
      const tsc = timestamp();
      store<u64>(cpu, tsc & 0xffffffff);
      store<u64>(cpu + 16, tsc >> 32);
      if (op == OP_RDTSCP) store<u64>(cpu + 8, 0);
      return NEXT;
    }
    case OP_RDRAND: return randomNumber(rec, size);
    case OP_RDPMC: return privileged(L.PRIV_RDPMC);
    case OP_RDMSR: return privileged(L.PRIV_RDMSR);
    case OP_WRMSR: return privileged(L.PRIV_WRMSR);
    case OP_MOV_R_CR: return registerMove(rec, L.PRIV_READ_CR);
    case OP_MOV_CR_R: return registerMove(rec, L.PRIV_WRITE_CR);
    case OP_MOV_R_DR: return registerMove(rec, L.PRIV_READ_DR);
    case OP_MOV_DR_R: return registerMove(rec, L.PRIV_WRITE_DR);
    case OP_CLI: return privileged(L.PRIV_CLI);
    case OP_STI: return privileged(L.PRIV_STI);
    case OP_HLT: return privileged(L.PRIV_HLT);
    case OP_CLTS: return privileged(L.PRIV_CLTS);
    case OP_INVLPG: return privileged(L.PRIV_INVLPG);
    case OP_INVD:
    case OP_WBINVD: return privileged(L.PRIV_WBINVD);
    case OP_LGDT: return privileged(L.PRIV_LGDT);
    case OP_LIDT: return privileged(L.PRIV_LIDT);
    case OP_LLDT: return privileged(L.PRIV_LLDT);
    case OP_LTR: return privileged(L.PRIV_LTR);
    case OP_LMSW: return privileged(L.PRIV_LMSW);
    case OP_SWAPGS: return privileged(L.PRIV_SWAPGS);
    case OP_SYSRET: return privileged(L.PRIV_SYSRET);
    case OP_SYSEXIT: return privileged(L.PRIV_OTHER);
    // SYSENTER is invalid in long mode on the processors whose vendor string we carry.
    case OP_SYSENTER: return raise(6, 0);
    // CR4.OSXSAVE is never set.
    case OP_XGETBV:
    case OP_XSETBV: return raise(6, 0);
    case OP_IN: return portAccess(rec, L.PRIV_IN, 0xffffffff);
    case OP_IN_I: return portAccess(rec, L.PRIV_IN, load<u32>(rec, L.REC_IMM) & 0xff);
    case OP_OUT: return portAccess(rec, L.PRIV_OUT, 0xffffffff);
    case OP_OUT_I: return portAccess(rec, L.PRIV_OUT, load<u32>(rec, L.REC_IMM) & 0xff);
    case OP_INS: return portAccess(rec, L.PRIV_INS, 0xffffffff);
    case OP_OUTS: return portAccess(rec, L.PRIV_OUTS, 0xffffffff);
    case OP_SGDT: return storeTable(rec, 0xffff, 0xffff820000000000);
    case OP_SIDT: return storeTable(rec, 0xfff, 0xffff82d040000000);
    case OP_SLDT: return isMemory(rec) ? (writeMemory(ea(rec), 2, 0) ? NEXT : FAULTED) : writeRm(rec, size, 0) ? NEXT : FAULTED;
    case OP_STR: return isMemory(rec) ? (writeMemory(ea(rec), 2, 0xe040) ? NEXT : FAULTED) : writeRm(rec, size, 0xe040) ? NEXT : FAULTED;
    case OP_SMSW: {
      const cr0 = <u64>load<u32>(cpu + L.CPU_CR0);
      return isMemory(rec) ? (writeMemory(ea(rec), 2, cr0) ? NEXT : FAULTED) : writeRm(rec, size, cr0) ? NEXT : FAULTED;
    }
    case OP_LAR: return loadAccessOrLimit(rec, false);
    case OP_LSL: return loadAccessOrLimit(rec, true);
    case OP_VERR: return verify(rec, false);
    case OP_VERW: return verify(rec, true);
    case OP_ARPL: {
      const x = <u32>readRm(rec, 2);
      if (fault) return FAULTED;
      const rpl = <u32>getRegister(reg(rec), 2) & 3;
      const lower = (x & 3) < rpl;
      if (lower && !writeRm(rec, 2, (x & 0xfffc) | rpl)) return FAULTED;
      setFlags((statusFlags() & ~ZF) | (lower ? ZF : 0));
      return NEXT;
    }
    default: return raise(6, 0);
  }
}
