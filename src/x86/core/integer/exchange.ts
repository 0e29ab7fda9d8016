// XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B.

import * as L from "../layout";
import * as S from "../state";
import { cpu, raise } from "../state";
import { ea, writePtr, writeEnd, FAULT } from "../mem";
import { NEXT, FAULTED } from "../execute";
import { setFlags, statusFlags, CC_ADD, CC_SUB, ZF } from "../flags";
import { isMemory, loadSized, setRegister, getRegister, reg } from "./operands";
import { rmwAt, rmwMemory, beginRmw, tryStore, endRmw, isLocked, applyFlags, flagsOf } from "./read_modify_write";

export function executeCompareExchange(rec: usize): i32 {
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

/** Tries of a lock before its holder is taken to have lost its host CPU. */
const SPINS: u32 = 1000;
const LOCK_WAIT_NS: i64 = 100000;

function takeWideLock(): void {
  let tries: u32 = 0;
  while (atomic.cmpxchg<u32>(L.WIDE_LOCK, 0, 1)) {
    tries += 1;
    if (tries >= SPINS) atomic.wait<i32>(L.WIDE_LOCK, 1, LOCK_WAIT_NS);
  }
}

@inline
function releaseWideLock(): void {
  atomic.store<u32>(L.WIDE_LOCK, 0);
}

/** CMPXCHG8B and CMPXCHG16B. The latter, under LOCK, is atomic against itself in other vCPUs (WIDE_LOCK), not against narrower writes. */
export function executeCompareExchangeWide(rec: usize): i32 {
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
    const locked = isLocked(rec) && at >= S.frameBase;
    if (locked) takeWideLock();
    const lo = load<u64>(at);
    const hi = load<u64>(at, 8);
    equal = lo == load<u64>(cpu) && hi == load<u64>(cpu + 16);
    if (equal) {
      store<u64>(at, load<u64>(cpu + 24));
      store<u64>(at, load<u64>(cpu + 8), 8);
    }
    if (locked) releaseWideLock();
    if (!writeEnd()) return FAULTED;
    if (!equal) {
      store<u64>(cpu, lo);
      store<u64>(cpu + 16, hi);
    }
  }
  setFlags((statusFlags() & ~ZF) | (equal ? ZF : 0));
  return NEXT;
}

export function executeExchange(rec: usize): i32 {
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

export function executeExchangeAdd(rec: usize): i32 {
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
