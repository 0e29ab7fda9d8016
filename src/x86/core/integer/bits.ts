// Bit tests and scans.

import * as L from "../layout";
import { cpu } from "../state";
import { ea } from "../mem";
import { NEXT, FAULTED } from "../execute";
import { setFlags, statusFlags, CF, PF, AF, ZF, SF, OF } from "../flags";
import { fault, isMemory, isCode64, loadSized, setRegister, getRegister, readMemory, readRm, reg, rm, signExtend } from "./operands";
import { rmwAt, beginRmw, tryStore, endRmw, isLocked } from "./read_modify_write";

/** BT BTS BTR BTC; `action` 0..3. A register offset reaches beyond the operand in memory. */
export function executeBitTest(rec: usize, action: u32, immediate: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const width = <u64>size << 3;
  const offset = immediate ? load<u64>(rec, L.REC_IMM) : getRegister(reg(rec), size);
  const bit = offset & (width - 1);
  let va: u64 = 0;
  if (isMemory(rec)) {
    va = ea(rec);
    if (!immediate) va += <u64>(signExtend(offset, size) >> (size == 8 ? 6 : size == 4 ? 5 : 4)) * <u64>size;
    if (!isCode64()) va &= 0xffffffff;
    else if (load<u8>(rec, L.REC_FLAGS) & L.RF_ADDR32) {
      // What is added to the segment's base, which the EA record before this one knows, is cut to 32 bits as a whole.
      const base = load<u64>(cpu + load<u8>(rec - L.REC_SIZE, L.REC_SEG));
      va = ((va - base) & 0xffffffff) + base;
    }
  }
  let x: u64;
  if (!action) {
    x = isMemory(rec) ? readMemory(va, size) : getRegister(rm(rec), size);
    if (isMemory(rec) && fault) return FAULTED;
  } else {
    if (!beginRmw(rec, size, isLocked(rec), va)) return FAULTED;
    const one = <u64>1 << bit;
    while (true) {
      x = loadSized(rmwAt, size);
      if (tryStore(size, x, action == 1 ? x | one : action == 2 ? x & ~one : x ^ one)) break;
    }
    if (!endRmw()) return FAULTED;
  }
  setFlags((statusFlags() & ~CF) | (<u32>(x >> bit) & 1));
  return NEXT;
}

export function executeBitScan(rec: usize, reverse: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const x = readRm(rec, size);
  if (fault) return FAULTED;
  if (!x) {
    setFlags((statusFlags() & ~(CF | OF | SF | AF | PF)) | ZF | PF);
    return NEXT;
  }
  setRegister(reg(rec), size, reverse ? 63 - clz(x) : ctz(x));
  setFlags(statusFlags() & ~ZF);
  return NEXT;
}
