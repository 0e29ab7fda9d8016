// Multiplication and division.

import * as L from "../layout";
import { cpu, raise } from "../state";
import { NEXT, FAULTED } from "../execute";
import { multiplyHigh, multiplyHighSigned, productOverflows } from "../product";
import { CF, OF } from "../flags";
import { fault, setRegister, getRegister, readRm, reg, mask, signExtend } from "./operands";
import { applyFlags, resultFlags } from "./read_modify_write";

/** Quotient of hi:lo by d, for hi < d; the remainder goes to divideRemainder. Knuth's algorithm D on 32-bit digits. */
let divideRemainder: u64 = 0;
function divideWide(hi: u64, lo: u64, d: u64): u64 {
  if (!hi) {
    divideRemainder = lo % d;
    return lo / d;
  }
  const s = clz(d);
  d <<= s;
  const dh = d >> 32;
  const dl = d & 0xffffffff;
  const top = s ? (hi << s) | (lo >> (64 - s)) : hi;
  const low = lo << s;
  const l1 = low >> 32;
  const l0 = low & 0xffffffff;
  let q1 = top / dh;
  let r = top - q1 * dh;
  while (q1 >> 32 || q1 * dl > ((r << 32) | l1)) {
    q1 -= 1;
    r += dh;
    if (r >> 32) break;
  }
  const middle = (top << 32) + l1 - q1 * d;
  let q0 = middle / dh;
  r = middle - q0 * dh;
  while (q0 >> 32 || q0 * dl > ((r << 32) | l0)) {
    q0 -= 1;
    r += dh;
    if (r >> 32) break;
  }
  divideRemainder = ((middle << 32) + l0 - q0 * d) >> s;
  return (q1 << 32) + q0;
}

export function executeMultiply(rec: usize, signed: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const y = readRm(rec, size);
  if (fault) return FAULTED;
  const x = getRegister(0, size);
  let low: u64;
  let high: u64;
  if (size == 8) {
    low = x * y;
    high = signed ? <u64>multiplyHighSigned(<i64>x, <i64>y) : multiplyHigh(x, y);
    store<u64>(cpu, low);
    store<u64>(cpu + 16, high);
  } else {
    const width = <u64>size << 3;
    const p = signed ? <u64>(signExtend(x, size) * signExtend(y, size)) : x * y;
    low = p & mask(size);
    high = (p >> width) & mask(size);
    if (size == 1) store<u16>(cpu, <u16>p);
    else {
      setRegister(0, size, low);
      setRegister(16, size, high);
    }
  }
  const fits = signed ? signExtend(high, size) == signExtend(low, size) >> 63 : high == 0;
  resultFlags(size, low, fits ? 0 : CF | OF);
  applyFlags();
  return NEXT;
}

export function executeDivide(rec: usize, signed: bool): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const raw = readRm(rec, size);
  if (fault) return FAULTED;
  if (!raw) return raise(0, 0);
  if (size < 8) {
    const width = <u64>size << 3;
    const dividend = size == 1 ? <u64>load<u16>(cpu) : (getRegister(16, size) << width) | getRegister(0, size);
    let q: u64;
    let r: u64;
    if (signed) {
      const n = size == 4 ? <i64>dividend : signExtend(dividend, size * 2);
      const d = signExtend(raw, size);
      if (d == -1) {
        // Avoids the host's own overflow trap.
        q = <u64>(0 - n);
        r = 0;
        if (n == i64.MIN_VALUE) return raise(0, 0);
      } else {
        q = <u64>(n / d);
        r = <u64>(n % d);
      }
      if (signExtend(q, size) != <i64>q) return raise(0, 0);
    } else {
      q = dividend / raw;
      r = dividend % raw;
      if (q > mask(size)) return raise(0, 0);
    }
    if (size == 1) store<u16>(cpu, <u16>((q & 0xff) | ((r & 0xff) << 8)));
    else {
      setRegister(0, size, q);
      setRegister(16, size, r);
    }
    return NEXT;
  }
  let hi = load<u64>(cpu + 16);
  let lo = load<u64>(cpu);
  if (!signed) {
    if (hi >= raw) return raise(0, 0);
    const q = divideWide(hi, lo, raw);
    store<u64>(cpu, q);
    store<u64>(cpu + 16, divideRemainder);
    return NEXT;
  }
  const negative = <i64>hi < 0;
  if (negative) {
    lo = 0 - lo;
    hi = ~hi + (lo == 0 ? 1 : 0);
  }
  const d = <i64>raw < 0 ? 0 - raw : raw;
  if (hi >= d) return raise(0, 0);
  let q = divideWide(hi, lo, d);
  let r = divideRemainder;
  const opposite = negative != (<i64>raw < 0);
  if (opposite ? q > 0x8000000000000000 : q > 0x7fffffffffffffff) return raise(0, 0);
  if (opposite) q = 0 - q;
  if (negative) r = 0 - r;
  store<u64>(cpu, q);
  store<u64>(cpu + 16, r);
  return NEXT;
}

export function executeMultiplyTo(rec: usize, y: u64, x: u64): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const a = signExtend(x, size);
  const b = signExtend(y, size);
  const p = a * b;
  setRegister(reg(rec), size, <u64>p);
  const overflow = size == 8 ? productOverflows(a, b, p) : signExtend(<u64>p, size) != p;
  resultFlags(size, <u64>p & mask(size), overflow ? CF | OF : 0);
  applyFlags();
  return NEXT;
}
