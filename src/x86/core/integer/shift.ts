// Shifts and rotates.

import * as L from "../layout";
import { ea } from "../mem";
import { NEXT, FAULTED } from "../execute";
import { statusFlags, CF, OF } from "../flags";
import { isMemory, loadSized, getRegister, reg, mask, signExtend } from "./operands";
import { rmwAt, beginRmw, tryStore, endRmw, applyFlags, resultFlags, statusResult } from "./read_modify_write";
import { OP_ROL, OP_ROR, OP_RCL, OP_SHL, OP_SHR, OP_SAR } from "../generated/ops";

/** x shifted by a count that is already masked and not 0; notes its flags. */
function shift(op: i32, size: u32, x: u64, count: u64): u64 {
  const width = <u64>size << 3;
  const m = mask(size);
  const top = width - 1;
  const old = statusFlags();
  switch (op) {
    case OP_SHL: {
      const z: u64 = count >= width ? 0 : (x << count) & m;
      const c: u64 = count > width ? 0 : (x >> (width - count)) & 1;
      resultFlags(size, z, <u32>c | (<u32>(((z >> top) & 1) ^ c) << 11));
      return z;
    }
    case OP_SHR: {
      const z: u64 = count >= width ? 0 : x >> count;
      const c: u64 = count > width ? 0 : (x >> (count - 1)) & 1;
      resultFlags(size, z, <u32>c | (<u32>((x >> top) & 1) << 11));
      return z;
    }
    case OP_SAR: {
      const s = signExtend(x, size);
      const z = <u64>(s >> (count > 63 ? 63 : count)) & m;
      const c = <u64>(s >> (count - 1 > 63 ? 63 : count - 1)) & 1;
      resultFlags(size, z, <u32>c);
      return z;
    }
    case OP_ROL: {
      const n = count % width;
      const z = n ? ((x << n) | (x >> (width - n))) & m : x;
      const c = <u32>z & 1;
      rotateFlags(old, c, <u32>(z >> top) ^ c);
      return z;
    }
    case OP_ROR: {
      const n = count % width;
      const z = n ? ((x >> n) | (x << (width - n))) & m : x;
      rotateFlags(old, <u32>(z >> top), <u32>((z >> top) ^ (z >> (top - 1))) & 1);
      return z;
    }
    case OP_RCL: {
      const n = count % (width + 1);
      let z = x;
      let c = old & CF;
      for (let i: u64 = 0; i < n; ++i) {
        const out = <u32>(z >> top) & 1;
        z = ((z << 1) | <u64>c) & m;
        c = out;
      }
      rotateFlags(old, c, (<u32>(z >> top) ^ c) & 1);
      return z;
    }
    default: {
      const n = count % (width + 1);
      let z = x;
      let c = old & CF;
      for (let i: u64 = 0; i < n; ++i) {
        const out = <u32>z & 1;
        z = (z >> 1) | (<u64>c << top);
        c = out;
      }
      rotateFlags(old, c, <u32>((z >> top) ^ (z >> (top - 1))) & 1);
      return z;
    }
  }
}

function rotateFlags(old: u32, c: u32, o: u32): void {
  statusResult((old & ~(CF | OF)) | c | (o << 11));
}

export function executeShift(rec: usize, op: i32, count: u64): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  count &= size == 8 ? 63 : 31;
  if (!beginRmw(rec, size, false, isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const x = loadSized(rmwAt, size);
  if (!count) {
    // Nothing changes but the upper half of a 32-bit register; memory is still written.
    tryStore(size, x, x);
    return endRmw() ? NEXT : FAULTED;
  }
  tryStore(size, x, shift(op, size, x, count));
  if (!endRmw()) return FAULTED;
  applyFlags();
  return NEXT;
}

export function executeDoubleShift(rec: usize, left: bool, count: u64): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const width = <u64>size << 3;
  count &= size == 8 ? 63 : 31;
  if (!beginRmw(rec, size, false, isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const x = loadSized(rmwAt, size);
  const y = getRegister(reg(rec), size);
  if (!count) {
    tryStore(size, x, x);
    return endRmw() ? NEXT : FAULTED;
  }
  let z: u64;
  let c: u64;
  if (size == 2) {
    // Counts above 16 rotate through both operands twice, as the processors do.
    const wide = left ? (x << 32) | (y << 16) | x : x | (y << 16) | (x << 32);
    if (left) {
      z = (wide >> (32 - count)) & 0xffff;
      c = (wide >> (48 - count)) & 1;
    } else {
      z = (wide >> count) & 0xffff;
      c = (wide >> (count - 1)) & 1;
    }
  } else if (left) {
    z = ((x << count) | (y >> (width - count))) & mask(size);
    c = (x >> (width - count)) & 1;
  } else {
    z = ((x >> count) | (y << (width - count))) & mask(size);
    c = (x >> (count - 1)) & 1;
  }
  tryStore(size, x, z);
  if (!endRmw()) return FAULTED;
  resultFlags(size, z, <u32>c | (<u32>(((x ^ z) >> (width - 1)) & 1) << 11));
  applyFlags();
  return NEXT;
}
