// The six status flags, kept lazily.
//
// kind (low 8 bits) and shift (bits 8..15) say how to read a and b. Operands of 8, 16 and 32 bits are kept shifted left by `shift` = 64 - width,
// so that one 64-bit comparison serves every width:
//   FLAGS  a holds the flags themselves, as in EFLAGS.
//   SUB    a - b was computed (SUB, CMP).
//   ADD    a + b was computed.
//   RES    a is the result; b holds CF, AF and OF as in EFLAGS. Logical operations have b = 0.
// The main loop keeps the three in locals and writes them to these globals before anything out of line may look.

import * as K from "./flag_kinds";
import * as L from "./layout";
import { cpu } from "./state";
import { multiplyHigh, productOverflows } from "./product";

export const CC_FLAGS: u32 = 0;
export const CC_SUB: u32 = 1;
export const CC_ADD: u32 = 2;
export const CC_RES: u32 = 3;

export const CF: u32 = 1;
export const PF: u32 = 4;
export const AF: u32 = 0x10;
export const ZF: u32 = 0x40;
export const SF: u32 = 0x80;
export const OF: u32 = 0x800;
export const STATUS: u32 = CF | PF | AF | ZF | SF | OF;

export let ccKind: u32 = CC_FLAGS;
export let ccA: u64 = 0;
export let ccB: u64 = 0;

@inline
export function setLazy(kind: u32, a: u64, b: u64): void {
  ccKind = kind;
  ccA = a;
  ccB = b;
}

/** Sets all six status flags. */
@inline
export function setFlags(value: u32): void {
  ccKind = CC_FLAGS;
  ccA = value & STATUS;
  ccB = 0;
}

@inline
function resultFlags(result: u64, shift: u64): u32 {
  return (result == 0 ? ZF : 0) | (<i64>result < 0 ? SF : 0) | (popcnt<u32>(<u32>(result >> shift) & 0xff) & 1 ? 0 : PF);
}

/** The six status flags as in EFLAGS. */
export function statusFlags(): u32 {
  const shift = <u64>(ccKind >> 8);
  const a = ccA;
  const b = ccB;
  switch (ccKind & 0xff) {
    case CC_SUB: {
      const r = a - b;
      return resultFlags(r, shift) | (a < b ? CF : 0) | (<i64>((a ^ b) & (a ^ r)) < 0 ? OF : 0) | (<u32>((a ^ b ^ r) >> shift) & AF);
    }
    case CC_ADD: {
      const r = a + b;
      return resultFlags(r, shift) | (r < a ? CF : 0) | (<i64>((a ^ r) & (b ^ r)) < 0 ? OF : 0) | (<u32>((a ^ b ^ r) >> shift) & AF);
    }
    case CC_RES:
      return resultFlags(a, shift) | <u32>b;
    default:
      return <u32>a;
  }
}

@inline
export function carry(): u32 {
  switch (ccKind & 0xff) {
    case CC_SUB: return <u32>(ccA < ccB);
    case CC_ADD: return <u32>(ccA + ccB < ccA);
    case CC_RES: return <u32>ccB & 1;
    default: return <u32>ccA & 1;
  }
}

/** Condition code 0..15 of Jcc, evaluated on flags given as in EFLAGS. */
export function conditionOf(flags: u32, cc: u32): bool {
  let holds = false;
  switch (cc >> 1) {
    case 0: holds = (flags & OF) != 0; break;
    case 1: holds = (flags & CF) != 0; break;
    case 2: holds = (flags & ZF) != 0; break;
    case 3: holds = (flags & (CF | ZF)) != 0; break;
    case 4: holds = (flags & SF) != 0; break;
    case 5: holds = (flags & PF) != 0; break;
    case 6: holds = ((flags >> 7) & 1) != ((flags >> 11) & 1); break;
    default: holds = (flags & ZF) != 0 || ((flags >> 7) & 1) != ((flags >> 11) & 1);
  }
  return holds != ((cc & 1) != 0);
}

// ---- flags as translated code keeps them (flag_kinds.ts) -----------------------------------------------------------------

@inline
function keep(kind: u32, shift: u64, a: u64, b: u64): void {
  setLazy(kind | (<u32>shift << 8), a << shift, b << shift);
}

@inline
function keepResult(shift: u64, result: u64, bits: u32): void {
  setLazy(CC_RES | (<u32>shift << 8), result << shift, <u64>bits);
}

/** OF of a sum or a difference, from the bits that tell it at the top of `width`. */
@inline
function overflowBit(bits: u64, shift: u64): u32 {
  return <u32>((bits << shift) >> 63) << 11;
}

/** Makes the given flags those of the processor. */
export function settle(kind: u32, a: u64, b: u64, c: u64, d: u64): void {
  const operation = kind & 0xff;
  const over = kind >> K.KEPT_OVER_SHIFT;
  if (operation < <u32>K.KEPT_SUB) setLazy(kind & 0xffff, a, b);
  else settleOperation(operation, <u64>((kind >> 8) & 0xff), <u64>((kind >> K.KEPT_COUNT_SHIFT) & 0xff), a, b, c);
  if (over) settleOver(over, d);
}

function settleOperation(operation: u32, shift: u64, count: u64, a: u64, b: u64, c: u64): void {
  const all: u64 = ~<u64>0 >> shift;
  if (!count) count = c;
  switch (operation) {
    case K.KEPT_SUB: keep(CC_SUB, shift, a, b); break;
    case K.KEPT_ADD: keep(CC_ADD, shift, a - b, b); break;
    case K.KEPT_DOUBLES: {
      const x = reinterpret<f64>(a);
      const y = reinterpret<f64>(b);
      setFlags(x > y ? 0 : x < y ? CF : x == y ? ZF : ZF | PF | CF);
      break;
    }
    case K.KEPT_LOGIC: keepResult(shift, a, 0); break;
    case K.KEPT_ADC: {
      const z = (a + b + c) & all;
      keepResult(shift, z, (z < a || (c && z == a) ? CF : 0) | overflowBit((a ^ z) & (b ^ z), shift) | (<u32>(a ^ b ^ z) & AF));
      break;
    }
    case K.KEPT_SBB: {
      const z = (a - b - c) & all;
      keepResult(shift, z, (a < b || (c && a == b) ? CF : 0) | overflowBit((a ^ b) & (a ^ z), shift) | (<u32>(a ^ b ^ z) & AF));
      break;
    }
    case K.KEPT_INC: keepResult(shift, a, <u32>c | (a << shift == <u64>1 << 63 ? OF : 0) | (a & 15 ? 0 : AF)); break;
    case K.KEPT_DEC: keepResult(shift, a, <u32>c | (a == all >> 1 ? OF : 0) | ((a & 15) == 15 ? AF : 0)); break;
    case K.KEPT_SHL: {
      const out = <u32>(a << (shift + count - 1) >> 63);
      const z = (a << count) & all;
      keepResult(shift, z, out | (overflowBit(z, shift) ^ (out << 11)));
      break;
    }
    case K.KEPT_SHR: keepResult(shift, a >> count, (<u32>(a >> (count - 1)) & 1) | overflowBit(a, shift)); break;
    case K.KEPT_SAR: keepResult(shift, <u64>(<i64>(a << shift) >> count) >> shift, <u32>(a >> (count - 1)) & 1); break;
    case K.KEPT_MUL: {
      const high = shift ? (a * b) >> (64 - shift) : multiplyHigh(a, b);
      keepResult(shift, a * b, high ? CF | OF : 0);
      break;
    }
    case K.KEPT_IMUL: {
      const x = <i64>(a << shift) >> shift;
      const y = <i64>(b << shift) >> shift;
      const p = x * y;
      const overflows = shift ? (p << shift) >> shift != p : productOverflows(x, y, p);
      keepResult(shift, <u64>p, overflows ? CF | OF : 0);
      break;
    }
    default: keepResult(shift, a, <u32>b);
  }
}

/** The present flags, but for those that `d` tells. */
function settleOver(over: u32, d: u64): void {
  const flags = statusFlags();
  if (over == K.OVER_CF) {
    setFlags((flags & ~CF) | (<u32>d & 1));
    return;
  }
  let bits = <u32>d;
  if (over != K.OVER_CF_OF) {
    const top: u64 = over == K.OVER_ROL32 || over == K.OVER_ROR32 ? 31 : 63;
    const left = over == K.OVER_ROL32 || over == K.OVER_ROL64;
    const high = <u32>(d >> top) & 1;
    const carry = left ? <u32>d & 1 : high;
    bits = carry | ((high ^ (left ? carry : <u32>(d >> (top - 1)) & 1)) << 11);
  }
  setFlags((flags & ~(CF | OF)) | (bits & (CF | OF)));
}

/** Makes the flags in the state block those of the processor, unless those are newer. */
export function settleKept(): void {
  const kind = load<u32>(cpu + L.CPU_KEPT_KIND);
  if (kind == <u32>K.KEPT_NONE) return;
  settle(kind, load<u64>(cpu + L.CPU_KEPT_A), load<u64>(cpu + L.CPU_KEPT_B), load<u64>(cpu + L.CPU_KEPT_C), load<u64>(cpu + L.CPU_KEPT_D));
}

/** Keeps the processor's flags in the state block. */
@inline
export function keepFlags(kind: u32, a: u64, b: u64): void {
  store<u32>(cpu + L.CPU_KEPT_KIND, kind);
  store<u64>(cpu + L.CPU_KEPT_A, a);
  store<u64>(cpu + L.CPU_KEPT_B, b);
}

export function flagsKept(kind: u32, a: u64, b: u64, c: u64, d: u64): u32 {
  settle(kind, a, b, c, d);
  return statusFlags();
}
export function conditionKept(kind: u32, a: u64, b: u64, c: u64, d: u64, cc: u32): i32 {
  settle(kind, a, b, c, d);
  return conditionOf(statusFlags(), cc) ? 1 : 0;
}
export function carryKept(kind: u32, a: u64, b: u64, c: u64, d: u64): u64 {
  settle(kind, a, b, c, d);
  return <u64>carry();
}

export function condition(cc: u32): bool {
  return conditionOf(statusFlags(), cc);
}
