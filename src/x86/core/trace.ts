// From a linear address to the record to run: the jump cache, the entry points by physical address, and decoding.

import * as L from "./layout";
import * as S from "./state";
import { codeFrame } from "./mmu";
import { decode, decodedLength, decodedOperation } from "./decode";
import {
  addEntry, addJump, arenaNext, closeTrace, emptyAll, findEntry, hasEntryRoom, findJump, reserve,
} from "./cache";
import {
  OP_LINK, OP_CROSS, OP_STEP_END, OP_INVALID, OP_JMP, OP_JMP_E, OP_CALL, OP_CALL_E, OP_RET, OP_RET_I, OP_RETF, OP_RETF_I, OP_IRET, OP_SYSCALL, OP_INT, OP_INT3, OP_F_JMP,
  OP_F_J0, OP_UD2, OP_JMP_FAR_E, OP_CALL_FAR_E, OP_JMP_FAR_I, OP_CALL_FAR_I, OP_HLT,
} from "./generated/ops";
import { fusedTable } from "./generated/tables";

/** Instructions in a trace at most. */
const MAX_TRACE: u32 = 96;
/** Bit of a jump cache tag that marks compatibility code. */
const COMPAT: u64 = 1 << 62;

/** When set, the decoder uses general operations only: a tier of its own, for tests. */
export let generalOnly: bool = false;
export function setGeneralOnly(on: bool): void {
  generalOnly = on;
}

@inline
function isCode64(): bool {
  return load<u32>(S.cpu + L.CPU_CODE64) != 0;
}

@inline
function isCanonical(va: u64): bool {
  return <u64>(<i64>(va << 16) >> 16) == va;
}

/** Control never goes on to the next instruction. */
function ends(op: i32): bool {
  switch (op) {
    case OP_INVALID: case OP_JMP: case OP_JMP_E: case OP_CALL: case OP_CALL_E: case OP_RET: case OP_RET_I: case OP_RETF: case OP_RETF_I: case OP_IRET:
    case OP_SYSCALL: case OP_INT: case OP_INT3: case OP_UD2: case OP_JMP_FAR_E: case OP_CALL_FAR_E: case OP_JMP_FAR_I: case OP_CALL_FAR_I: case OP_HLT:
      return true;
    default:
      return false;
  }
}

function micro(rec: usize, op: i32, off: u32, imm: i64, link: usize): void {
  store<u64>(rec, 0);
  store<u64>(rec, 0, 8);
  store<u64>(rec, 0, 24);
  store<u16>(rec, <u16>op, L.REC_OP);
  store<u16>(rec, <u16>off, L.REC_OFF);
  store<i64>(rec, imm, L.REC_IMM);
  store<u32>(rec, <u32>link, L.REC_LINK);
}

/** A jump between traces. Its offset, where it goes on when its trace is dropped, is that of its target: 4096 for the next page. */
@inline
function linkOp(code64: bool): i32 {
  return code64 ? OP_F_JMP : OP_LINK;
}

/** Makes one operation of a comparison and the JCC behind it, whose record stays what it is: the first goes by what it says. */
function fuse(rec: usize): void {
  const condition = <u32>load<u16>(rec, L.REC_OP) - <u32>OP_F_J0;
  const comparison = <u32>load<u16>(rec - L.REC_SIZE, L.REC_OP);
  if (condition >= 16 || comparison >= <u32>OP_F_J0) return;
  const fused = load<u16>(fusedTable + ((comparison << 4 | condition) << 1));
  if (fused) store<u16>(rec - L.REC_SIZE, fused, L.REC_OP);
}

/** Decodes from `off` of frame `mfn` on; returns the first record. */
function decodeTrace(mfn: u32, off: u32, code64: bool): usize {
  if (!hasEntryRoom()) emptyAll();
  reserve(MAX_TRACE * 2 + 2);
  const frame = S.frameBase + (<usize>mfn << 12);
  const physical = <u64>mfn << 12;
  const first = arenaNext + L.REC_SIZE;
  let rec = first;
  let at = off;
  let count: u32 = 0;
  while (true) {
    if (at >= 4096 || count >= MAX_TRACE) {
      micro(rec, linkOp(code64), at, at, 0);
      rec += L.REC_SIZE;
      break;
    }
    if (count) {
      const known = findEntry(physical + at, code64 ? 1 : 0);
      if (known) {
        micro(rec, linkOp(code64), at, at, known);
        rec += L.REC_SIZE;
        break;
      }
    }
    const used = decode(frame + at, 4096 - at, rec, at, code64, !generalOnly);
    if (!used) {
      micro(rec, OP_CROSS, at, 0, 0);
      rec += L.REC_SIZE;
      at = 4096;
      break;
    }
    if (count) fuse(rec);
    rec += used * L.REC_SIZE;
    at += decodedLength;
    count += 1;
    if (ends(decodedOperation)) break;
  }
  S.count(L.CNT_TRACES);
  closeTrace(mfn, <u32>((rec - first) / L.REC_SIZE), off, at < 4096 ? at : 4096);
  addEntry(physical + off, code64 ? 1 : 0, first);
  return first;
}

/**
 * The record that runs at linear address `va`; SLOT_PAGE is set for it. 0 when it cannot be fetched: the exception is raised and CPU_RIP is `va`.
 */
export function enter(va: u64): usize {
  const code64 = isCode64();
  if (!code64) va &= 0xffffffff;
  const tag = code64 ? va : va | COMPAT;
  let record = isCanonical(va) ? findJump(tag) : 0;
  if (!record) {
    S.count(L.CNT_JUMP_CACHE_MISSES);
    const mfn = codeFrame(va);
    if (mfn < 0) {
      store<u64>(S.cpu + L.CPU_RIP, va);
      return 0;
    }
    const off = <u32>va & 0xfff;
    record = findEntry((<u64>(<u32>mfn) << 12) + off, code64 ? 1 : 0);
    if (!record) record = decodeTrace(mfn, off, code64);
    addJump(tag, record);
  }
  store<u64>(S.cpu + L.SLOT_PAGE, va & ~<u64>0xfff);
  return record;
}

/** Makes 64-bit code at a physical address an entry point, if it is none. Not for where a record is held. */
export function enterAt(physical: u32): void {
  if (!findEntry(physical, 1)) decodeTrace(physical >> 12, physical & 0xfff, true);
}

/**
 * Decodes the one instruction at `va` into the scratch area, followed by `next` (OP_STEP_END or OP_LINK). Fetches across the page's end.
 * Returns the record, or 0 with the exception raised (RIP is that of the instruction).
 */
export function decodeOne(va: u64, next: i32): usize {
  const code64 = isCode64();
  const mfn = codeFrame(va);
  if (mfn < 0) return 0;
  const off = <u32>va & 0xfff;
  const rec = S.scratch;
  const fast = !generalOnly;
  let used = decode(S.frameBase + (<usize>mfn << 12) + off, 4096 - off, rec, off, code64, fast);
  if (!used) {
    const first = 4096 - off;
    const rest = codeFrame(code64 ? va + first : (va + first) & 0xffffffff);
    if (rest < 0) return 0;
    const bytes = S.scratch + 512;
    memory.copy(bytes, S.frameBase + (<usize>mfn << 12) + off, first);
    memory.copy(bytes + first, S.frameBase + (<usize>rest << 12), 16);
    used = decode(bytes, 16, rec, off, code64, fast);
    for (let n: u32 = 0; n < used; ++n) {
      const flags = rec + n * L.REC_SIZE + L.REC_FLAGS;
      store<u8>(flags, load<u8>(flags) | <u8>L.RF_CROSS);
    }
  }
  micro(rec + used * L.REC_SIZE, next, off, <i64>(off + decodedLength), 0);
  store<u64>(S.cpu + L.SLOT_PAGE, va & ~<u64>0xfff);
  return rec;
}
