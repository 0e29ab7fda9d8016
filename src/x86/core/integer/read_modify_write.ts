// What changes its operand: found once, stored atomically under LOCK, with flags that are set when the store stands.
//
// Order: beginRmw(), which may fault; tryStore() until it is true; endRmw(), which may fault; then applyFlags() and other registers.

import * as L from "../layout";
import * as S from "../state";
import { cpu } from "../state";
import { writePtr, writeEnd, FAULT } from "../mem";
import { setLazy, CC_RES, CC_FLAGS } from "../flags";
import { isMemory, storeSized, rm } from "./operands";

// Address of the operand between beginRmw() and endRmw(), and what to do with it.
export let rmwAt: usize = 0;
export let rmwMemory: bool = false;
let rmwAtomic: bool = false;

/** Finds the destination. False with an exception raised. `locked`: LOCK or XCHG; atomic where the operand is naturally aligned. */
export function beginRmw(rec: usize, size: u32, locked: bool, va: u64): bool {
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
export function tryStore(size: u32, old: u64, value: u64): bool {
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
export function endRmw(): bool {
  return !rmwMemory || writeEnd();
}

@inline
export function isLocked(rec: usize): bool {
  return (load<u8>(rec, L.REC_FLAGS) & L.RF_LOCK) != 0;
}

// ---- the flags to set once the result is stored ----------------------------------------------------------------------------

let newKind: u32 = 0;
let newA: u64 = 0;
let newB: u64 = 0;

@inline
export function applyFlags(): void {
  setLazy(newKind, newA, newB);
}

@inline
export function flagsOf(kind: u32, size: u32, a: u64, b: u64): void {
  const shift: u64 = 64 - (<u64>size << 3);
  newKind = kind | (<u32>shift << 8);
  newA = a << shift;
  newB = b << shift;
}

export function resultFlags(size: u32, result: u64, bits: u32): void {
  const shift: u64 = 64 - (<u64>size << 3);
  newKind = CC_RES | (<u32>shift << 8);
  newA = result << shift;
  newB = bits;
}

/** The status flags themselves, as in EFLAGS. */
export function statusResult(flags: u32): void {
  newKind = CC_FLAGS;
  newA = <u64>flags;
  newB = 0;
}
