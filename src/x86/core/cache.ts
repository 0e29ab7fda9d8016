// Decoded code: traces of records, found by physical address.
//
// Rules:
// - A trace is a header record and the records of instructions that follow one another in one frame. An instruction that runs into the next
//   page is never kept: its record (CROSS) decodes it anew each time.
// - An entry point is found by physical address and code size (64-bit or compatibility), so remapping a page costs nothing.
// - While a frame has lines with code its attribute CODE is set and no write TLB entry exists for it. A write to one of them turns every
//   record of the frame into REFETCH, in place: whoever is about to run one looks its address up anew. So a record's address stays
//   meaningful until the arena is emptied as a whole. Lines may hold code of a translated region that has no record there: the
//   frame's version grows with every drop, and a region remembers the versions of its further pages (core/regions.ts).
// - The arena is emptied only in lookup(), which holds no record across it.
// - The jump cache maps linear addresses to records; a change of mapping drops it by generation.

import * as L from "./layout";
import * as S from "./state";
import { attributes, jumpGeneration } from "./state";
import { flushWrites } from "./tlb";
import { OP_F_REGION, OP_REFETCH } from "./generated/ops";

/** Trace header, REC_SIZE bytes: u32 next trace of the frame, u32 records. */
const TRACE_NEXT = 0;
const TRACE_COUNT = 4;

export let arenaNext: usize = 0;
/** Grows when the arena is emptied. */
export let arenaEpoch: u32 = 0;

/** Whatever address has been looked up is to be looked up anew, in every address space. */
export function dropJumps(): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) {
    for (let n: u32 = 0; n < S.CONTEXTS; ++n) S.renewGeneration(S.contextAt(kernel, n));
  }
}

export function initialiseCache(): void {
  arenaNext = S.arenaStart;
}

/** Room for a trace of `records` records; null room empties the arena. True when it was emptied. */
export function reserve(records: u32): bool {
  if (arenaNext + <usize>((records + 1) * L.REC_SIZE) <= S.arenaEnd) return false;
  emptyArena();
  return true;
}

function emptyArena(): void {
  S.count(L.CNT_ARENA_EMPTIED);
  memory.fill(S.hashTable, 0, tableSize());
  for (let mfn: u32 = 0; mfn < S.frameCount; ++mfn) {
    // Without lines there are no traces.
    if (load<u64>(S.frameLines + (<usize>mfn << 3))) forgetFrame(mfn);
  }
  hashCount = 0;
  arenaNext = S.arenaStart;
  arenaEpoch += 1;
  dropJumps();
}

function forgetFrame(mfn: u32): void {
  store<u32>(S.frameTraces + (<usize>mfn << 2), 0);
  store<u64>(S.frameLines + (<usize>mfn << 3), 0);
  const version = S.frameVersions + (<usize>mfn << 2);
  store<u32>(version, load<u32>(version) + 1);
  atomic.and<u8>(attributes + <usize>mfn, <u8>~L.FRAME_CODE);
}

/** Closes a trace of `records` records that were written at arenaNext + REC_SIZE, covering bytes [from, to) of the frame. */
export function closeTrace(mfn: u32, records: u32, from: u32, to: u32): void {
  const list = S.frameTraces + (<usize>mfn << 2);
  store<u32>(arenaNext, load<u32>(list), TRACE_NEXT);
  store<u32>(arenaNext, records, TRACE_COUNT);
  store<u32>(list, <u32>arenaNext);
  arenaNext += (records + 1) * L.REC_SIZE;
  protectLines(mfn, from, to);
}

/** Bytes [from, to) of the frame hold code: a trace's or a translated region's. */
export function protectLines(mfn: u32, from: u32, to: u32): void {
  const lines = S.frameLines + (<usize>mfn << 3);
  const first = from >> 6;
  const last = (to - 1) >> 6;
  store<u64>(lines, load<u64>(lines) | ((~<u64>0 << first) & (~<u64>0 >> (63 - last))));
  if (load<u8>(attributes + <usize>mfn) & L.FRAME_CODE) return;
  atomic.or<u8>(attributes + <usize>mfn, <u8>L.FRAME_CODE);
  flushWrites();
}

/** A write of `size` bytes at `offset` of a frame marked CODE. True when decoded code was dropped. */
export function codeWritten(mfn: u32, offset: u32, size: u32): bool {
  const lines = load<u64>(S.frameLines + (<usize>mfn << 3));
  const first = offset >> 6;
  const last = (offset + size - 1) >> 6;
  if (!(lines & ((~<u64>0 << first) & (~<u64>0 >> (63 - (last > 63 ? 63 : last)))))) return false;
  dropFrame(mfn);
  return true;
}

/** Turns every record of the frame into REFETCH. */
export function dropFrame(mfn: u32): void {
  if (!load<u64>(S.frameLines + (<usize>mfn << 3))) return;
  S.count(L.CNT_CODE_DROPS);
  let trace = <usize>load<u32>(S.frameTraces + (<usize>mfn << 2));
  // The jump cache would find the dropped records again, for ever; and a region that goes on in the frame is to notice.
  dropJumps();
  while (trace) {
    let count = load<u32>(trace, TRACE_COUNT);
    let record = trace + L.REC_SIZE;
    while (count--) {
      store<u16>(record, <u16>OP_REFETCH, L.REC_OP);
      record += L.REC_SIZE;
    }
    trace = <usize>load<u32>(trace, TRACE_NEXT);
  }
  forgetFrame(mfn);
}

// ---- entry points ----------------------------------------------------------------------------------------------------

let hashCount: u32 = 0;
let hashBits: u32 = S.MIN_HASH_BITS;

@inline
function tableSize(): usize {
  return <usize>S.HASH_ENTRY << hashBits;
}

@inline
function keyOf(physical: u64, code64: u32): u64 {
  return (physical << 1) | <u64>code64 | (<u64>1 << 40);
}

@inline
function slotOf(key: u64): usize {
  return <usize>((key * 0x9e3779b97f4a7c15) >> (64 - hashBits)) << 4;
}

/** The record of an entry point, or 0. */
export function findEntry(physical: u64, code64: u32): usize {
  const key = keyOf(physical, code64);
  let slot = slotOf(key);
  while (true) {
    const found = load<u64>(S.hashTable + slot);
    if (found == key) {
      const record = <usize>load<u32>(S.hashTable + slot, 8);
      return load<u16>(record, L.REC_OP) == <u16>OP_REFETCH ? 0 : record;
    }
    if (!found) return 0;
    slot = (slot + S.HASH_ENTRY) & (tableSize() - 1);
  }
}

/** Makes room for another entry. False when the table is too full, and as large as can be: the caller empties the arena first. */
export function hasEntryRoom(): bool {
  return hashCount <= (<u32>3 << hashBits) >> 2 || doubleTable();
}

/** Puts the entries of code that has not been dropped into a table of twice the size. The old one is in the arena's free room meanwhile. */
function doubleTable(): bool {
  const size = tableSize();
  if (hashBits == S.MAX_HASH_BITS || arenaNext + size > S.arenaEnd) return false;
  memory.copy(arenaNext, S.hashTable, size);
  memory.fill(S.hashTable, 0, 2 * size);
  hashBits += 1;
  hashCount = 0;
  for (let entry = arenaNext; entry < arenaNext + size; entry += S.HASH_ENTRY) {
    const key = load<u64>(entry);
    const record = <usize>load<u32>(entry, 8);
    if (key && load<u16>(record, L.REC_OP) != <u16>OP_REFETCH) insert(key, record);
  }
  return true;
}

export function emptyAll(): void {
  emptyArena();
}

export function addEntry(physical: u64, code64: u32, record: usize): void {
  insert(keyOf(physical, code64), record);
}

function insert(key: u64, record: usize): void {
  let slot = slotOf(key);
  while (true) {
    const found = load<u64>(S.hashTable + slot);
    if (!found || found == key) {
      if (!found) hashCount += 1;
      store<u64>(S.hashTable + slot, key);
      store<u32>(S.hashTable + slot, <u32>record, 8);
      return;
    }
    slot = (slot + S.HASH_ENTRY) & (tableSize() - 1);
  }
}

// ---- jump cache ------------------------------------------------------------------------------------------------------
//
// An entry's tag is a canonical linear address, bit 62 the other way round for compatibility code. Bits 48..61, which tell nothing of such an address, have the
// table's index of the region that the record runs, 0 none. A record that stops running a region drops all jumps.
//
// Four entries that lie in one line of a processor's cache are a set, the one used last in front: what is looked at by the way is that one, and what is found
// behind it moves there.

export const JUMP_RECORD = 8;
export const JUMP_GENERATION = 12;
const JUMP_SIZE: usize = 16;
const SET_SIZE: usize = 64;
const INDEX_SHIFT: u64 = 48;
const INDEX_MASK: u64 = <u64>L.REGION_MAX_INDEX << INDEX_SHIFT;

/** The first entry of the set of a tag. */
@inline
export function jumpSlot(tag: u64): usize {
  return S.jumpCache + ((<usize>(tag ^ (tag >> 12)) & (S.JUMP_SETS - 1)) << 6);
}

@inline
function isOf(slot: usize, tag: u64): bool {
  return !((load<u64>(slot) ^ tag) & ~INDEX_MASK);
}

/** Whether an entry is for a canonical address or the tag of one. */
@inline
export function isJump(slot: usize, tag: u64): bool {
  return isOf(slot, tag) && load<u32>(slot, JUMP_GENERATION) == jumpGeneration;
}

/** Moves the entries before `slot` behind themselves, over it. */
function makeRoom(set: usize, slot: usize): void {
  for (let to = slot; to > set; to -= JUMP_SIZE) {
    store<u64>(to, load<u64>(to - JUMP_SIZE));
    store<u64>(to, load<u64>(to - JUMP_SIZE, 8), 8);
  }
}

/** Whether an entry that is not the first of a set is for the tag; it becomes the first. */
export function bringJump(set: usize, tag: u64): bool {
  for (let slot = set + JUMP_SIZE; slot < set + SET_SIZE; slot += JUMP_SIZE) {
    if (!isJump(slot, tag)) continue;
    const key = load<u64>(slot);
    const rest = load<u64>(slot, 8);
    makeRoom(set, slot);
    store<u64>(set, key);
    store<u64>(set, rest, 8);
    return true;
  }
  return false;
}

/** The record for the tag of a canonical address, or 0. */
@inline
export function findJump(tag: u64): usize {
  const slot = jumpSlot(tag);
  return isJump(slot, tag) || bringJump(slot, tag) ? <usize>load<u32>(slot, JUMP_RECORD) : 0;
}

/** The index of the region that an entry runs, or 0. */
@inline
export function regionOfJump(slot: usize): u32 {
  return <u32>(load<u64>(slot) >> INDEX_SHIFT) & L.REGION_MAX_INDEX;
}

export function addJump(tag: u64, record: usize): void {
  const set = jumpSlot(tag);
  const region: u64 = load<u16>(record, L.REC_OP) == <u16>OP_F_REGION ? load<u32>(record, L.REC_LINK) : 0;
  let old = set;
  while (old < set + SET_SIZE - JUMP_SIZE && !isOf(old, tag)) old += JUMP_SIZE;
  makeRoom(set, old);
  store<u64>(set, (tag & ~INDEX_MASK) | (region << INDEX_SHIFT));
  store<u32>(set, <u32>record, JUMP_RECORD);
  store<u32>(set, jumpGeneration, JUMP_GENERATION);
}

// ---- return stack ----------------------------------------------------------------------------------------------------
//
// What the jump cache has for the address behind a call, kept where the guest keeps that address: by the stack pointer, so that there is nothing to lose step
// with when the guest switches stacks, unwinds or returns elsewhere. An entry is a hint, told from others by its tag and generation like those that it is a
// copy of, and may be another's or void. It spares the return a set of the jump cache, of which every return site has one; these few lines stay near.

@inline
function returnSlot(sp: u64): usize {
  return S.returns + ((<usize>sp & ((S.RETURNS - 1) << 3)) << 1);
}

/** The address behind a call, `next`, lies at `sp`. */
@inline
export function rememberReturn(sp: u64, next: u64): void {
  const from = jumpSlot(next);
  const to = returnSlot(sp);
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
}

/** The index of the region at a canonical address that lay at `sp`, where it is remembered, or 0. */
@inline
export function regionOfReturn(sp: u64, target: u64): u32 {
  const slot = returnSlot(sp);
  return isJump(slot, target) ? regionOfJump(slot) : 0;
}
