// The six status flags, kept lazily.
//
// kind (low 8 bits) and shift (bits 8..15) say how to read a and b. Operands of 8, 16 and 32 bits are kept shifted left by `shift` = 64 - width,
// so that one 64-bit comparison serves every width:
//   FLAGS  a holds the flags themselves, as in EFLAGS.
//   SUB    a - b was computed (SUB, CMP).
//   ADD    a + b was computed.
//   RES    a is the result; b holds CF, AF and OF as in EFLAGS. Logical operations have b = 0.
// The main loop keeps the three in locals and writes them to these globals before anything out of line may look.

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

/** The same questions about lazy flags that are given, for translated code. */
export function flagsWith(kind: u32, a: u64, b: u64): u32 {
  setLazy(kind, a, b);
  return statusFlags();
}
export function conditionWith(kind: u32, a: u64, b: u64, cc: u32): i32 {
  setLazy(kind, a, b);
  return conditionOf(statusFlags(), cc) ? 1 : 0;
}
export function carryOf(kind: u32, a: u64, b: u64): u64 {
  setLazy(kind, a, b);
  return <u64>carry();
}

export function condition(cc: u32): bool {
  return conditionOf(statusFlags(), cc);
}
