// General executor of the integer instructions: every form and size. The main loop's specialised operations are shortcuts of these.
//
// Order inside an instruction: everything that can fault comes first; registers and flags change only when nothing can fault any more.

import * as L from "./layout";
import * as S from "./state";
import { cpu, raise } from "./state";
import { ea, readPtr, writePtr, writeEnd, FAULT } from "./mem";
import { NEXT, FAULTED, LEAVE, JUMP, codeAddress } from "./execute";
import { executeString } from "./strings";
import { multiplyHigh, multiplyHighSigned, productOverflows } from "./product";
import { executeSystem } from "./system";
import {
  setLazy, setFlags, statusFlags, carry, condition, CC_ADD, CC_SUB, CC_RES, CC_FLAGS, CF, PF, AF, ZF, SF, OF,
} from "./flags";
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
const IF: u32 = 0x200;
const TF: u32 = 0x100;
/** What POPF may change at CPL 3 with IOPL 0, besides the status flags: TF DF NT AC ID. */
const POPF_MASK: u32 = TF | DF | 0x4000 | 0x40000 | 0x200000;

// ---- operands --------------------------------------------------------------------------------------------------------

/** Set by the operand readers when an exception was raised. */
export let fault: bool = false;

@inline
export function isMemory(rec: usize): bool {
  return (load<u8>(rec, L.REC_FLAGS) & L.RF_MEM) != 0;
}

@inline
export function isCode64(): bool {
  return load<u32>(cpu + L.CPU_CODE64) != 0;
}

export function loadSized(at: usize, size: u32): u64 {
  switch (size) {
    case 1: return load<u8>(at);
    case 2: return load<u16>(at);
    case 4: return load<u32>(at);
    default: return load<u64>(at);
  }
}

export function storeSized(at: usize, size: u32, value: u64): void {
  switch (size) {
    case 1: store<u8>(at, <u8>value); break;
    case 2: store<u16>(at, <u16>value); break;
    case 4: store<u32>(at, <u32>value); break;
    default: store<u64>(at, value);
  }
}

/** A register by slot; a 32-bit write clears the upper half. */
export function setRegister(slot: u32, size: u32, value: u64): void {
  if (size == 4) store<u64>(cpu + slot, value & 0xffffffff);
  else storeSized(cpu + slot, size, value);
}

@inline
export function getRegister(slot: u32, size: u32): u64 {
  return loadSized(cpu + slot, size);
}

export function readMemory(va: u64, size: u32): u64 {
  const at = readPtr(va, size);
  fault = at == FAULT;
  return fault ? 0 : loadSized(at, size);
}

/** True when the store stands. */
export function writeMemory(va: u64, size: u32, value: u64): bool {
  const at = writePtr(va, size);
  if (at == FAULT) return false;
  storeSized(at, size, value);
  return writeEnd();
}

/** The ModRM.rm operand. Check `fault`. */
export function readRm(rec: usize, size: u32): u64 {
  if (isMemory(rec)) return readMemory(ea(rec), size);
  fault = false;
  return getRegister(load<u8>(rec, L.REC_RM), size);
}

@inline
export function reg(rec: usize): u32 {
  return <u32>load<u8>(rec, L.REC_REG);
}
@inline
export function rm(rec: usize): u32 {
  return <u32>load<u8>(rec, L.REC_RM);
}

/** Stores to the ModRM.rm operand. True when it stands. */
export function writeRm(rec: usize, size: u32, value: u64): bool {
  if (isMemory(rec)) return writeMemory(ea(rec), size, value);
  setRegister(rm(rec), size, value);
  return true;
}

@inline
function mask(size: u32): u64 {
  return size == 8 ? ~<u64>0 : (<u64>1 << (size << 3)) - 1;
}

@inline
function signExtend(value: u64, size: u32): i64 {
  const shift = 64 - (<i64>size << 3);
  return <i64>(value << shift) >> shift;
}

// ---- read-modify-write -------------------------------------------------------------------------------------------------

// Address of the operand between beginRmw() and endRmw(), and what to do with it.
let rmwAt: usize = 0;
let rmwMemory: bool = false;
let rmwAtomic: bool = false;

/** Finds the destination. False with an exception raised. `locked`: LOCK or XCHG; atomic where the operand is naturally aligned. */
function beginRmw(rec: usize, size: u32, locked: bool, va: u64): bool {
  rmwMemory = isMemory(rec);
  if (!rmwMemory) {
    rmwAt = cpu + rm(rec);
    rmwAtomic = false;
    return true;
  }
  rmwAt = writePtr(va, size);
  if (rmwAt == FAULT) return false;
  rmwAtomic = locked && rmwAt >= S.frameBase && (<u32>rmwAt & (size - 1)) == 0;
  return true;
}

/** Stores `value` over `old`; false when another thread was faster and the operation must be computed again. */
function tryStore(size: u32, old: u64, value: u64): bool {
  if (rmwAtomic) {
    switch (size) {
      case 1: return atomic.cmpxchg<u8>(rmwAt, <u8>old, <u8>value) == <u8>old;
      case 2: return atomic.cmpxchg<u16>(rmwAt, <u16>old, <u16>value) == <u16>old;
      case 4: return atomic.cmpxchg<u32>(rmwAt, <u32>old, <u32>value) == <u32>old;
      default: return atomic.cmpxchg<u64>(rmwAt, old, value) == old;
    }
  }
  if (!rmwMemory && size == 4) store<u64>(rmwAt, value & 0xffffffff);
  else storeSized(rmwAt, size, value);
  return true;
}

@inline
function endRmw(): bool {
  return !rmwMemory || writeEnd();
}

@inline
function isLocked(rec: usize): bool {
  return (load<u8>(rec, L.REC_FLAGS) & L.RF_LOCK) != 0;
}

// ---- arithmetic: results and the flags to set once they are stored -----------------------------------------------------------

let newKind: u32 = 0;
let newA: u64 = 0;
let newB: u64 = 0;

@inline
function applyFlags(): void {
  setLazy(newKind, newA, newB);
}

@inline
function flagsOf(kind: u32, size: u32, a: u64, b: u64): void {
  const shift: u64 = 64 - (<u64>size << 3);
  newKind = kind | (<u32>shift << 8);
  newA = a << shift;
  newB = b << shift;
}

function resultFlags(size: u32, result: u64, bits: u32): void {
  const shift: u64 = 64 - (<u64>size << 3);
  newKind = CC_RES | (<u32>shift << 8);
  newA = result << shift;
  newB = bits;
}

function arithmetic(op: i32, size: u32, x: u64, y: u64): u64 {
  switch (op) {
    case OP_ADD: flagsOf(CC_ADD, size, x, y); return x + y;
    case OP_SUB:
    case OP_CMP: flagsOf(CC_SUB, size, x, y); return x - y;
    case OP_ADC: {
      const c = <u64>carry();
      const z = (x + y + c) & mask(size);
      const top = <u64>(size << 3) - 1;
      const out = z < (x & mask(size)) || (c && z == (x & mask(size)));
      resultFlags(size, z, (out ? CF : 0) | (<u32>((((x ^ z) & (y ^ z)) >> top) & 1) << 11) | (<u32>(x ^ y ^ z) & AF));
      return z;
    }
    case OP_SBB: {
      const c = <u64>carry();
      const m = mask(size);
      const z = (x - y - c) & m;
      const top = <u64>(size << 3) - 1;
      const out = (x & m) < (y & m) || (c && (x & m) == (y & m));
      resultFlags(size, z, (out ? CF : 0) | (<u32>((((x ^ y) & (x ^ z)) >> top) & 1) << 11) | (<u32>(x ^ y ^ z) & AF));
      return z;
    }
    case OP_OR: { const z = x | y; resultFlags(size, z, 0); return z; }
    case OP_XOR: { const z = x ^ y; resultFlags(size, z, 0); return z; }
    default: { const z = x & y; resultFlags(size, z, 0); return z; }
  }
}

/** ADD..XOR with its operand forms, by descriptor form kept in the opcode. */
function executeArithmetic(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const opcode = load<u8>(rec, L.REC_OPCODE);
  const immediate = isImmediateForm(opcode, op);
  const toRegister = !immediate && op != OP_TEST && (opcode & 2) != 0;
  if (toRegister) {
    const y = readRm(rec, size);
    if (fault) return FAULTED;
    const z = arithmetic(op, size, getRegister(reg(rec), size), y);
    if (op != OP_CMP) setRegister(reg(rec), size, z);
    applyFlags();
    return NEXT;
  }
  const y = immediate ? load<u64>(rec, L.REC_IMM) & mask(size) : getRegister(reg(rec), size);
  if (op == OP_CMP || op == OP_TEST) {
    const x = readRm(rec, size);
    if (fault) return FAULTED;
    arithmetic(op, size, x, y);
    applyFlags();
    return NEXT;
  }
  if (!beginRmw(rec, size, isLocked(rec), isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  while (true) {
    const x = loadSized(rmwAt, size);
    if (tryStore(size, x, arithmetic(op, size, x, y))) break;
  }
  if (!endRmw()) return FAULTED;
  applyFlags();
  return NEXT;
}

@inline
function isImmediateForm(opcode: u32, op: i32): bool {
  if (opcode >= 0x80) return op == OP_TEST ? opcode != 0x84 && opcode != 0x85 : true;
  return (opcode & 7) >= 4;
}

// ---- shifts and rotates -------------------------------------------------------------------------------------------------

/** x shifted by a count that is already masked and not 0; flags in new*. */
function shift(op: i32, size: u32, x: u64, count: u64): u64 {
  const width = <u64>size << 3;
  const m = mask(size);
  const top = width - 1;
  const old = statusFlags();
  switch (op) {
    case OP_SHL: {
      const z = count >= width ? (count == width ? 0 : 0) : (x << count) & m;
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
  newKind = CC_FLAGS;
  newA = <u64>((old & ~(CF | OF)) | c | (o << 11));
  newB = 0;
}

function executeShift(rec: usize, op: i32, count: u64): i32 {
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

function executeDoubleShift(rec: usize, left: bool, count: u64): i32 {
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

// ---- multiplication and division -----------------------------------------------------------------------------------------

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

function executeMultiply(rec: usize, signed: bool): i32 {
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

function executeDivide(rec: usize, signed: bool): i32 {
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

function executeMultiplyTo(rec: usize, y: u64, x: u64): i32 {
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

// ---- bits ------------------------------------------------------------------------------------------------------------

/** BT BTS BTR BTC; `action` 0..3. A register offset reaches beyond the operand in memory. */
function executeBitTest(rec: usize, action: u32, immediate: bool): i32 {
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

function executeBitScan(rec: usize, reverse: bool): i32 {
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

// ---- compare and exchange ------------------------------------------------------------------------------------------------

function executeCompareExchange(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (!beginRmw(rec, size, isLocked(rec), isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const expected = getRegister(0, size);
  let x: u64;
  while (true) {
    x = loadSized(rmwAt, size);
    if (x != expected || tryStore(size, x, getRegister(reg(rec), size))) break;
  }
  if (!endRmw()) return FAULTED;
  if (x != expected) setRegister(0, size, x);
  flagsOf(CC_SUB, size, expected, x);
  applyFlags();
  return NEXT;
}

function executeCompareExchangeWide(rec: usize): i32 {
  const wide = load<u8>(rec, L.REC_OPSIZE) == 8;
  const va = ea(rec);
  if (wide && va & 15) return raise(13, 0);
  const at = writePtr(va, wide ? 16 : 8);
  if (at == FAULT) return FAULTED;
  let equal: bool;
  if (!wide) {
    const expected = <u64>load<u32>(cpu) | (<u64>load<u32>(cpu + 16) << 32);
    const value = <u64>load<u32>(cpu + 24) | (<u64>load<u32>(cpu + 8) << 32);
    let x: u64;
    if (at >= S.frameBase && !(<u32>at & 7)) x = atomic.cmpxchg<u64>(at, expected, value);
    else {
      x = load<u64>(at);
      if (x == expected) store<u64>(at, value);
    }
    equal = x == expected;
    if (!writeEnd()) return FAULTED;
    if (!equal) {
      store<u64>(cpu, x & 0xffffffff);
      store<u64>(cpu + 16, x >> 32);
    }
  } else {
    const lo = load<u64>(at);
    const hi = load<u64>(at, 8);
    equal = lo == load<u64>(cpu) && hi == load<u64>(cpu + 16);
    if (equal) {
      store<u64>(at, load<u64>(cpu + 24));
      store<u64>(at, load<u64>(cpu + 8), 8);
    }
    if (!writeEnd()) return FAULTED;
    if (!equal) {
      store<u64>(cpu, lo);
      store<u64>(cpu + 16, hi);
    }
  }
  setFlags((statusFlags() & ~ZF) | (equal ? ZF : 0));
  return NEXT;
}

function executeExchange(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (!beginRmw(rec, size, true, isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const y = getRegister(reg(rec), size);
  let x: u64;
  do {
    x = loadSized(rmwAt, size);
  } while (!tryStore(size, x, y));
  if (!endRmw()) return FAULTED;
  setRegister(reg(rec), size, x);
  return NEXT;
}

function executeExchangeAdd(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (!beginRmw(rec, size, isLocked(rec), isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const y = getRegister(reg(rec), size);
  let x: u64;
  let z: u64;
  do {
    x = loadSized(rmwAt, size);
    z = x + y;
    // With both operands the same register the sum is what stays.
    if (!rmwMemory) setRegister(reg(rec), size, x);
  } while (!tryStore(size, x, z));
  if (!endRmw()) return FAULTED;
  if (rmwMemory) setRegister(reg(rec), size, x);
  flagsOf(CC_ADD, size, x, y);
  applyFlags();
  return NEXT;
}

function executeUnary(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (!beginRmw(rec, size, isLocked(rec), isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const m = mask(size);
  const top = <u64>1 << ((<u64>size << 3) - 1);
  while (true) {
    const x = loadSized(rmwAt, size);
    let z: u64;
    switch (op) {
      case OP_INC: {
        z = (x + 1) & m;
        resultFlags(size, z, carry() | (z == top ? OF : 0) | ((z & 15) == 0 ? AF : 0));
        break;
      }
      case OP_DEC: {
        z = (x - 1) & m;
        resultFlags(size, z, carry() | (x == top ? OF : 0) | ((x & 15) == 0 ? AF : 0));
        break;
      }
      case OP_NEG: {
        z = (0 - x) & m;
        flagsOf(CC_SUB, size, 0, x);
        break;
      }
      default: z = ~x & m;
    }
    if (tryStore(size, x, z)) break;
  }
  if (!endRmw()) return FAULTED;
  if (op != OP_NOT) applyFlags();
  return NEXT;
}

// ---- stack -----------------------------------------------------------------------------------------------------------

/** Linear address of a stack offset. */
@inline
export function stackAddress(sp: u64): u64 {
  return isCode64() ? sp : (sp + load<u64>(cpu + L.SLOT_SS_BASE)) & 0xffffffff;
}

@inline
export function stackPointer(): u64 {
  return isCode64() ? load<u64>(cpu + 32) : <u64>load<u32>(cpu + 32);
}

@inline
export function setStackPointer(sp: u64): void {
  store<u64>(cpu + 32, isCode64() ? sp : sp & 0xffffffff);
}

/** True when done; false with an exception raised and nothing changed. */
export function push(value: u64, size: u32): bool {
  const sp = stackPointer() - size;
  if (!writeMemory(stackAddress(sp), size, value)) return false;
  setStackPointer(sp);
  return true;
}

/** The value `offset` bytes above the stack pointer. Check `fault`. */
export function peek(offset: u32, size: u32): u64 {
  return readMemory(stackAddress(stackPointer() + offset), size);
}

function executePop(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const value = peek(0, size);
  if (fault) return FAULTED;
  if (isMemory(rec)) {
    if (!writeMemory(ea(rec), size, value)) return FAULTED;
    setStackPointer(stackPointer() + size);
    return NEXT;
  }
  setStackPointer(stackPointer() + size);
  setRegister(rm(rec), size, value);
  return NEXT;
}

function executeEnter(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const imm = load<u32>(rec, L.REC_IMM);
  const level = (imm >> 16) & 31;
  const allocation = imm & 0xffff;
  let sp = stackPointer() - size;
  if (!writeMemory(stackAddress(sp), size, getRegister(40, size))) return FAULTED;
  const frame = sp;
  let bp = isCode64() ? load<u64>(cpu + 40) : <u64>load<u32>(cpu + 40);
  for (let n: u32 = 1; n < level; ++n) {
    bp -= size;
    sp -= size;
    const value = readMemory(stackAddress(bp), size);
    if (fault || !writeMemory(stackAddress(sp), size, value)) return FAULTED;
  }
  if (level) {
    sp -= size;
    if (!writeMemory(stackAddress(sp), size, frame)) return FAULTED;
  }
  sp -= allocation;
  // The new top must be writable.
  if (writePtr(stackAddress(sp), size) == FAULT || !writeEnd()) return FAULTED;
  setRegister(40, size, frame);
  setStackPointer(sp);
  return NEXT;
}

function executePushAll(size: u32): i32 {
  const original = getRegister(32, size);
  const sp = stackPointer();
  for (let n: u32 = 0; n < 8; ++n) {
    if (!writeMemory(stackAddress(sp - (n + 1) * size), size, n == 4 ? original : getRegister(n * 8, size))) return FAULTED;
  }
  setStackPointer(sp - 8 * size);
  return NEXT;
}

function executePopAll(size: u32): i32 {
  const sp = stackPointer();
  for (let n: u32 = 0; n < 8; ++n) {
    readMemory(stackAddress(sp + n * size), size);
    if (fault) return FAULTED;
  }
  for (let n: u32 = 0; n < 8; ++n) {
    if (n == 3) continue;
    setRegister((7 - n) * 8, size, readMemory(stackAddress(sp + n * size), size));
  }
  setStackPointer(sp + 8 * size);
  return NEXT;
}

/** RFLAGS as PUSHF stores them. IF reads as set: interrupts are never off for a guest at CPL 3. */
export function flagsImage(): u64 {
  return <u64>((load<u32>(cpu + L.CPU_RFLAGS) & ~0x8d5) | statusFlags() | 2 | IF);
}

/** POPF and IRET at CPL 3. */
export function setFlagsImage(value: u64, size: u32): void {
  const allowed = size == 2 ? POPF_MASK & 0xffff : POPF_MASK;
  store<u32>(cpu + L.CPU_RFLAGS, (load<u32>(cpu + L.CPU_RFLAGS) & ~allowed) | (<u32>value & allowed));
  setFlags(<u32>value);
}

// ---- branches ----------------------------------------------------------------------------------------------------------

/** Linear address of the next instruction. */
@inline
export function nextAddress(rec: usize): u64 {
  return codeAddress(load<u64>(cpu + L.SLOT_PAGE) + <u64>load<u16>(rec, L.REC_OFF) + <u64>load<u8>(rec, L.REC_LEN));
}

function jumpTo(rec: usize, target: u64): i32 {
  if (load<u8>(rec, L.REC_OPSIZE) == 2) target &= 0xffff;
  else if (!isCode64()) target &= 0xffffffff;
  store<u64>(cpu + L.CPU_RIP, target);
  return JUMP;
}

/** A near branch to a non-canonical address faults at the branch, before anything changes. */
@inline
function refuseTarget(target: u64): bool {
  if (<u64>(<i64>(target << 16) >> 16) == target || !isCode64()) return false;
  raise(13, 0);
  return true;
}

@inline
function relativeTarget(rec: usize): u64 {
  return load<u64>(cpu + L.SLOT_PAGE) + load<u64>(rec, L.REC_IMM);
}

/** RCX by address size; JCXZ and LOOP. */
@inline
function counterSize(rec: usize): u32 {
  return isCode64() ? (load<u8>(rec, L.REC_FLAGS) & L.RF_ADDR32 ? 4 : 8) : load<u8>(rec, L.REC_FLAGS) & L.RF_ADDR32 ? 2 : 4;
}

function executeLoop(rec: usize, op: i32): i32 {
  const size = counterSize(rec);
  const count = (getRegister(8, size) - 1) & mask(size);
  setRegister(8, size, count);
  const zero = (statusFlags() & ZF) != 0;
  const taken = count != 0 && (op == OP_LOOP || (op == OP_LOOPE ? zero : !zero));
  return taken ? jumpTo(rec, relativeTarget(rec)) : NEXT;
}

function executeCall(rec: usize, target: u64): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (refuseTarget(target) || !push(nextAddress(rec), size)) return FAULTED;
  return jumpTo(rec, target);
}

function executeReturn(rec: usize, release: u32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const target = peek(0, size);
  if (fault || refuseTarget(target)) return FAULTED;
  setStackPointer(stackPointer() + size + release);
  return jumpTo(rec, target);
}

// ---- decimal adjustment (compatibility mode) ---------------------------------------------------------------------------------

function parityOf(value: u32): u32 {
  return popcnt<u32>(value & 0xff) & 1 ? 0 : PF;
}

function signZeroParity(value: u32): u32 {
  return (value & 0xff ? 0 : ZF) | (value & 0x80 ? SF : 0) | parityOf(value);
}

function executeDecimal(rec: usize, op: i32): i32 {
  const old = statusFlags();
  let al: u32 = load<u8>(cpu);
  let ax: u32 = load<u16>(cpu);
  switch (op) {
    case OP_DAA:
    case OP_DAS: {
      const before = al;
      let flags: u32 = 0;
      const adjustLow = (al & 15) > 9 || (old & AF) != 0;
      if (adjustLow) {
        flags |= AF;
        if (op == OP_DAS && al < 6) flags |= CF;
        al = op == OP_DAA ? al + 6 : al - 6;
      }
      if (before > 0x99 || old & CF) {
        al = op == OP_DAA ? al + 0x60 : al - 0x60;
        flags |= CF;
      } else if (op == OP_DAA) flags &= ~CF;
      al &= 0xff;
      store<u8>(cpu, <u8>al);
      setFlags(flags | signZeroParity(al));
      return NEXT;
    }
    case OP_AAA:
    case OP_AAS: {
      const adjust = (al & 15) > 9 || (old & AF) != 0;
      if (adjust) ax = op == OP_AAA ? ax + 0x106 : ax - 0x106;
      ax &= 0xff0f;
      store<u16>(cpu, <u16>ax);
      setFlags((adjust ? CF | AF : 0) | signZeroParity(ax));
      return NEXT;
    }
    case OP_AAM: {
      const base = load<u32>(rec, L.REC_IMM) & 0xff;
      if (!base) return raise(0, 0);
      store<u16>(cpu, <u16>((al % base) | ((al / base) << 8)));
      setFlags(signZeroParity(al % base));
      return NEXT;
    }
    default: {
      const base = load<u32>(rec, L.REC_IMM) & 0xff;
      al = (al + (ax >> 8) * base) & 0xff;
      store<u16>(cpu, <u16>al);
      setFlags(signZeroParity(al));
      return NEXT;
    }
  }
}

// ---- dispatch ----------------------------------------------------------------------------------------------------------

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
