// MOVS CMPS STOS LODS SCAS, with and without REP.
//
// A repeated instruction is interruptible between elements: RCX, RSI and RDI are always what they must be after the elements done, so a fault
// leaves the instruction to be restarted. One call does at most CHUNK elements and then asks to be executed again.
// MOVS and STOS going up take whole runs inside a page at once.

import * as L from "./layout";
import * as S from "./state";
import { cpu } from "./state";
import { readPtr, writePtr, writeEnd, FAULT } from "./mem";
import { NEXT, FAULTED, AGAIN } from "./execute";
import { getRegister, setRegister, loadSized, storeSized, isCode64 } from "./integer/operands";
import { setLazy, statusFlags, CC_SUB, ZF } from "./flags";
import { OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS } from "./generated/ops";

const DF: u32 = 0x400;
const RSI: u32 = 48;
const RDI: u32 = 56;
const CHUNK: u64 = 4096;

@inline
function linear(offset: u64, base: u32): u64 {
  const va = offset + load<u64>(cpu + base);
  return isCode64() ? va : va & 0xffffffff;
}

/** Bytes from `va` to the end of its page. */
@inline
function toPageEnd(va: u64): u64 {
  return 4096 - (va & 0xfff);
}

/** Elements that MOVS or STOS can do in one go, upwards, inside one page of each operand. */
function run(count: u64, size: u64, limit: u64): u64 {
  const fit = limit / size;
  return fit < count ? fit : count;
}

export function executeString(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const flags = <u32>load<u8>(rec, L.REC_FLAGS);
  const wide: u32 = isCode64() ? (flags & L.RF_ADDR32 ? 4 : 8) : flags & L.RF_ADDR32 ? 2 : 4;
  const repeated = (flags & (L.RF_REP | L.RF_REPNE)) != 0;
  const source = <u32>load<u8>(rec, L.REC_SEG);
  const destination: u32 = isCode64() ? L.SLOT_ZERO : L.SLOT_ES_BASE;
  const down = (load<u32>(cpu + L.CPU_RFLAGS) & DF) != 0;
  const step: u64 = down ? 0 - <u64>size : <u64>size;
  if (!repeated) return element(op, size, wide, source, destination, step) ? NEXT : FAULTED;

  let done: u64 = 0;
  while (true) {
    const count = getRegister(8, wide);
    if (!count) return NEXT;
    if (done >= CHUNK) return AGAIN;
    if (!down && (op == OP_MOVS || op == OP_STOS)) {
      const n = block(op, size, wide, source, destination, count);
      if (n < 0) return FAULTED;
      if (n > 0) {
        setRegister(8, wide, count - <u64>n);
        done += <u64>n;
        continue;
      }
    }
    if (!element(op, size, wide, source, destination, step)) return FAULTED;
    setRegister(8, wide, count - 1);
    done += 1;
    if (op == OP_CMPS || op == OP_SCAS) {
      const equal = (statusFlags() & ZF) != 0;
      if (equal != ((flags & L.RF_REP) != 0)) return NEXT;
    }
  }
}

/** One element. False with an exception raised and nothing changed. */
function element(op: i32, size: u32, wide: u32, source: u32, destination: u32, step: u64): bool {
  const si = getRegister(RSI, wide);
  const di = getRegister(RDI, wide);
  let value: u64 = 0;
  if (op == OP_MOVS || op == OP_CMPS || op == OP_LODS) {
    const at = readPtr(linear(si, source), size);
    if (at == FAULT) return false;
    value = loadSized(at, size);
  } else value = getRegister(0, size);
  switch (op) {
    case OP_MOVS:
    case OP_STOS: {
      const at = writePtr(linear(di, destination), size);
      if (at == FAULT) return false;
      storeSized(at, size, value);
      if (!writeEnd()) return false;
      break;
    }
    case OP_LODS: setRegister(0, size, value); break;
    default: {
      const at = readPtr(linear(di, destination), size);
      if (at == FAULT) return false;
      const shift: u64 = 64 - (<u64>size << 3);
      setLazy(CC_SUB | (<u32>shift << 8), value << shift, loadSized(at, size) << shift);
    }
  }
  if (op != OP_STOS && op != OP_SCAS) setRegister(RSI, wide, si + step);
  if (op != OP_LODS) setRegister(RDI, wide, di + step);
  return true;
}

/** A run of MOVS or STOS upwards: elements done, 0 when this element must go by itself, -1 with an exception raised. */
function block(op: i32, size: u32, wide: u32, source: u32, destination: u32, count: u64): i64 {
  const di = getRegister(RDI, wide);
  const to = linear(di, destination);
  let limit = toPageEnd(to);
  let from: u64 = 0;
  let si: u64 = 0;
  if (op == OP_MOVS) {
    si = getRegister(RSI, wide);
    from = linear(si, source);
    const other = toPageEnd(from);
    if (other < limit) limit = other;
  }
  const n = run(count, size, limit);
  if (n < 2) return 0;
  const bytes = <usize>(n * size);
  const end = (to + bytes - 1) & ~<u64>0xfff;
  // Fast only where the write TLB already allows it: otherwise the single element does the checks and the filling.
  const slot = S.tlbWrite + ((<usize>(to >> 12) & (S.TLB_ENTRIES - 1)) << 4);
  if (load<u64>(slot) != end) return 0;
  const target = <usize>(<u32>to + load<u32>(slot, 8));
  if (op == OP_MOVS) {
    const at = readPtr(from, 1);
    if (at == FAULT) return -1;
    // An overlap in which the copy feeds itself repeats a pattern: element by element.
    if (target > at && target < at + bytes) return 0;
    memory.copy(target, at, bytes);
    setRegister(RSI, wide, si + bytes);
  } else {
    const value = getRegister(0, size);
    if (size == 1) memory.fill(target, <u8>value, bytes);
    else if (value == 0) memory.fill(target, 0, bytes);
    else for (let at = target, stop = target + bytes; at < stop; at += size) storeSized(at, size, value);
  }
  setRegister(RDI, wide, di + bytes);
  return <i64>n;
}
