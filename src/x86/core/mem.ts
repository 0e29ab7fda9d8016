// Memory as instructions see it: effective addresses, and pointers to operands. The main loop has its own inlined fast paths.

import * as L from "./layout";
import * as S from "./state";
import { readSlow, writeSlow, commitWrite, FAULT } from "./mmu";

export { cpu, raise } from "./state";
export { FAULT } from "./mmu";

/** Linear address of the record's memory operand. */
@inline
export function ea(rec: usize): u64 {
  return load<u64>(S.cpu + load<u8>(rec, L.REC_BASE)) + (load<u64>(S.cpu + load<u8>(rec, L.REC_INDEX)) << load<u8>(rec, L.REC_SCALE)) +
    load<u64>(S.cpu + load<u8>(rec, L.REC_SEG)) + <u64>load<i32>(rec, L.REC_DISP);
}

/** Host address readable for `size` bytes (<= 64), or FAULT with the exception raised. */
@inline
export function readPtr(va: u64, size: u32): usize {
  const slot = S.tlbRead + ((<usize>(va >> 12) & (S.TLB_ENTRIES - 1)) << 4);
  if (load<u64>(slot) == ((va + (size - 1)) & ~<u64>0xfff)) return <usize>(<u32>va + load<u32>(slot, 8));
  return readSlow(va, size);
}

/** Host address to store `size` bytes (<= 64) to, or FAULT with the exception raised. After storing, call writeEnd(). */
@inline
export function writePtr(va: u64, size: u32): usize {
  const slot = S.tlbWrite + ((<usize>(va >> 12) & (S.TLB_ENTRIES - 1)) << 4);
  if (load<u64>(slot) == ((va + (size - 1)) & ~<u64>0xfff)) return <usize>(<u32>va + load<u32>(slot, 8));
  const host = writeSlow(va, size);
  pending = host != FAULT && host < S.frameBase;
  return host;
}

let pending: bool = false;

/** Completes a store made through writePtr(). True when it stands; false with #PF raised (the host refused a protected write). */
@inline
export function writeEnd(): bool {
  if (!pending) return true;
  pending = false;
  return commitWrite() != 0;
}

/** A store of translated code that missed the TLB, whole: FAULT as 0 with the exception raised, otherwise as commitWrite(). */
export function storeSlow(va: u64, value: u64, size: u32): i32 {
  const host = writeSlow(va, size);
  if (host == FAULT) return 0;
  switch (size) {
    case 1: store<u8>(host, <u8>value); break;
    case 2: store<u16>(host, <u16>value); break;
    case 4: store<u32>(host, <u32>value); break;
    default: store<u64>(host, value);
  }
  return host < S.frameBase ? commitWrite() : 1;
}

/** Whether `size` bytes can be written; false with the exception raised. Stores nothing and needs no writeEnd(). */
export function writable(va: u64, size: u32): bool {
  const host = writePtr(va, size);
  pending = false;
  return host != FAULT;
}
