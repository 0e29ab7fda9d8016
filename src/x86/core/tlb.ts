// The TLBs and the contexts that they belong to: what is remembered of page tables, and what is forgotten when.
//
// Rules:
// - flushTlb() and flushPage() act on both modes, kernel and user.
// - An entry gives way to another of its slot by moving to the victims, a smaller table found by more of the address. What is found there moves back now and then, which
//   is soon for what is used much: two that are used in turn would else change places at every access, where one of them needs no look here at all.
//   Jump caches and regions know the pages of code that are in neither: a victim's slot of the code TLB remembers in which generation of jumps it lost one.
// - A context keeps lists of slots filled, so that what is dropped often (low addresses, what is cached for writing) is found without looking at everything. A
//   list that is full lists nothing.
// - A user's root that is replaced leaves its translations behind, in a context of its own, for when it comes again: they are good then unless the host's versions of the
//   page tables have grown, one of which does whenever a present entry of any table loses something. So to load a root is to flush what may be stale, as it should
//   be, and no more; flushStale() is the same for roots that stay. The host forgets a root whose frame goes out of use.
// - So does a kernel's root, unless the root that replaces it has the same upper half: then it takes the context over, without what is known of the lower half.
// - A change of attributes drops all entries for writing, in contexts that are not in use when they come again. A complete flush forgets those.

import * as L from "./layout";
import * as S from "./state";
import { cpu, frameBase, frameCount } from "./state";
import { PTE_A, setBits } from "./mmu";

/** No host address of guest memory. */
export const MISS: usize = 0;
const PAGE: u64 = ~<u64>0xfff;
const EMPTY: u64 = ~<u64>0;
/** The same in the last slot of a data TLB, for regions, which compare no more than that a tag and an address differ by no more than a place in the page: EMPTY is of the last page. */
const LAST_EMPTY: u64 = 0xfff;
const LAST_SLOT: u32 = (S.TLB_ENTRIES - 1) << 4;

// ---- entries -----------------------------------------------------------------------------------------------------------

@inline
function slotNumber(va: u64): u32 {
  return <u32>(va >> 12) & (S.TLB_ENTRIES - 1);
}

/** The victim's slot of a page, in the victims of a data TLB: by bits that tell those apart which meet in one slot of the TLB. */
@inline
function victimSlot(victims: usize, va: u64): usize {
  const page = va >> 12;
  return victims + ((<usize>(page ^ (page >> 7) ^ (page >> 23)) & (S.VICTIMS - 1)) << 4);
}

@inline
function victimsOf(context: usize, access: u32): usize {
  return context + S.CTX_VICTIMS + access * S.VICTIMS_SIZE;
}

/** Puts an entry into its slot. What was there becomes a victim. */
function put(access: u32, page: u64, addend: u32): void {
  const context = S.contextOf(load<u32>(cpu + L.CPU_KERNEL_MODE));
  const number = slotNumber(page);
  const slot = context + L.CTX_TABLES + access * S.TLB_SIZE + (<usize>number << 4);
  const old = load<u64>(slot);
  if (old != page && !(old & ~PAGE)) {
    const victim = victimSlot(victimsOf(context, access), old);
    store<u64>(victim, old);
    store<u32>(victim, load<u32>(slot, 8), 8);
  }
  store<u64>(slot, page);
  store<u32>(slot, addend, 8);
  if (<i64>page >= 0) list(context + L.CTX_LOWS, context + S.CTX_LOW_LIST, S.LOW_LIST, access * S.TLB_ENTRIES + number);
  else store<u32>(context, 1, L.CTX_HIGH);
  if (access == L.ACCESS_WRITE) list(context + L.CTX_WRITES, context + S.CTX_WRITE_LIST, S.WRITE_LIST, number);
}

@inline
function list(count: usize, entries: usize, size: u32, number: u32): void {
  const n = load<u32>(count);
  if (n > size) return;
  if (n < size) store<u16>(entries + (<usize>n << 1), <u16>number);
  store<u32>(count, n + 1);
}

export function fill(access: u32, va: u64, mfn: u32): void {
  put(access, va & PAGE, <u32>(frameBase + (<usize>mfn << 12)) - (<u32>va & ~0xfff));
}

/** Of so many entries that are found among the victims one moves back. */
const MOVES_BACK: u32 = 8;
let victimsFound: u32 = 0;

function find(access: u32, va: u64): usize {
  const context = S.contextOf(load<u32>(cpu + L.CPU_KERNEL_MODE));
  const page = va & PAGE;
  const slot = context + L.CTX_TABLES + access * S.TLB_SIZE + (<usize>slotNumber(va) << 4);
  if (load<u64>(slot) == page) return <usize>(<u32>va + load<u32>(slot, 8));
  const victim = victimSlot(victimsOf(context, access), page);
  if (load<u64>(victim) != page) return MISS;
  const addend = load<u32>(victim, 8);
  victimsFound += 1;
  if (!(victimsFound % MOVES_BACK)) {
    store<u64>(victim, EMPTY);
    put(access, page, addend);
  }
  return <usize>(<u32>va + addend);
}

/** Host address of a linear address that the data TLB for reads knows, or MISS. */
export function findRead(va: u64): usize {
  return find(L.ACCESS_READ, va);
}

/** The same of that for writes. */
export function findWrite(va: u64): usize {
  return find(L.ACCESS_WRITE, va);
}

/** The frame of a page that the code TLB knows, or -1. */
@inline
export function findCode(va: u64): i32 {
  const slot = S.codeSlot(S.xtlb, va);
  return load<u64>(slot) == (va & PAGE) ? load<i32>(slot, 8) : findCodeVictim(va & PAGE);
}

function findCodeVictim(page: u64): i32 {
  const victim = S.codeVictim(S.xtlb, page);
  if (load<u64>(victim) != page) return -1;
  const mfn = load<i32>(victim, 8);
  store<u64>(victim, EMPTY);
  putCode(page, mfn);
  return mfn;
}

/** Puts a page that the code TLB does not know into it. */
export function putCode(page: u64, mfn: u32): void {
  const slot = S.codeSlot(S.xtlb, page);
  const old = load<u64>(slot);
  if (old != EMPTY) {
    const victim = S.codeVictim(S.xtlb, old);
    if (load<u64>(victim) != EMPTY) store<u32>(victim, S.jumpGeneration, 12);
    store<u64>(victim, old);
    store<u32>(victim, load<u32>(slot, 8), 8);
  }
  store<u64>(slot, page);
  store<u32>(slot, mfn, 8);
}

// ---- flushing ----------------------------------------------------------------------------------------------------------

/** In a context of no root. */
const NO_ROOT: u32 = 0xffffffff;
const ANY_VERSION: u32 = 0xffffffff;
const PAGE_BYTES: usize = 4096;
/** Times that a root has been loaded. */
let uses: u32 = 0;

/** After slots of the data TLBs were emptied. */
function markLastSlots(context: usize): void {
  for (let slot = context + L.CTX_TABLES + LAST_SLOT, n = 0; n < 2; ++n, slot += S.TLB_SIZE) {
    if (load<u64>(slot) == EMPTY) store<u64>(slot, LAST_EMPTY);
  }
}

/** Empties the data TLBs of a context. */
function flushContextData(context: usize): void {
  if (load<u32>(context, L.CTX_HIGH)) memory.fill(context + L.CTX_TABLES, 0xff, 2 * S.TLB_SIZE);
  else dropLow(context);
  markLastSlots(context);
  memory.fill(context + S.CTX_VICTIMS, 0xff, 2 * S.VICTIMS_SIZE);
  store<u32>(context, 0, L.CTX_HIGH);
  store<u32>(context, 0, L.CTX_LOWS);
  store<u32>(context, 0, L.CTX_WRITES);
}

function flushContext(context: usize): void {
  flushContextData(context);
  memory.fill(context + S.CTX_CODE, 0xff, S.XTLB_SIZE + S.CODE_VICTIMS_SIZE);
  store<u32>(context, 0, L.CTX_LOW_CODE);
  S.renewGeneration(context);
}

function flushContextWrites(context: usize): void {
  const count = load<u32>(context, L.CTX_WRITES);
  const table = context + L.CTX_TABLES + S.TLB_SIZE;
  if (count > S.WRITE_LIST) memory.fill(table, 0xff, S.TLB_SIZE);
  else {
    for (let n: u32 = 0; n < count; ++n) store<u64>(table + (<usize>load<u16>(context + S.CTX_WRITE_LIST + (<usize>n << 1)) << 4), EMPTY);
  }
  markLastSlots(context);
  memory.fill(victimsOf(context, L.ACCESS_WRITE), 0xff, S.VICTIMS_SIZE);
  store<u32>(context, 0, L.CTX_WRITES);
}

/** Empties what has a low address, from `slot` on. */
function dropLowEntries(slot: usize, bytes: usize): void {
  for (const end = slot + bytes; slot < end; slot += S.TLB_ENTRY) {
    const tag = load<i64>(slot);
    // All ones unless bit 63 is set: empty.
    store<i64>(slot, tag | ~(tag >> 63));
  }
}

function dropLow(context: usize): void {
  const count = load<u32>(context, L.CTX_LOWS);
  const tables = context + L.CTX_TABLES;
  if (count > S.LOW_LIST) dropLowEntries(tables, 2 * S.TLB_SIZE);
  else {
    for (let n: u32 = 0; n < count; ++n) {
      const slot = tables + (<usize>load<u16>(context + S.CTX_LOW_LIST + (<usize>n << 1)) << 4);
      if (load<i64>(slot) >= 0) store<u64>(slot, EMPTY);
    }
  }
  markLastSlots(context);
  store<u32>(context, 0, L.CTX_LOWS);
}

/** Drops what is known of low addresses. */
function flushContextLow(context: usize): void {
  if (load<u32>(context, L.CTX_LOW_CODE)) {
    flushContext(context);
    return;
  }
  if (!load<u32>(context, L.CTX_LOWS)) return;
  dropLow(context);
  dropLowEntries(context + S.CTX_VICTIMS, 2 * S.VICTIMS_SIZE);
}

/** Drops what may be stale under these versions of the page tables. */
function freshen(context: usize, version: u32, low: u32, writes: u32): void {
  if (load<u32>(context, L.CTX_VERSION) != version || version == ANY_VERSION) {
    flushContext(context);
  } else {
    if (load<u32>(context, L.CTX_LOW_VERSION) != low) flushContextLow(context);
    if (load<u32>(context, L.CTX_WRITE_VERSION) != writes || writes == ANY_VERSION) flushContextWrites(context);
  }
  store<u32>(context, version, L.CTX_VERSION);
  store<u32>(context, low, L.CTX_LOW_VERSION);
  store<u32>(context, writes, L.CTX_WRITE_VERSION);
}

/** The contexts that are not in use are to be filled anew. */
function forgetOthers(): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) {
    for (let n: u32 = 0; n < S.CONTEXTS; ++n) {
      const context = S.contextAt(kernel, n);
      if (context != S.contextOf(kernel)) store<u32>(context, NO_ROOT, L.CTX_ROOT);
    }
  }
}

export function flushData(): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) flushContextData(S.contextOf(kernel));
  forgetOthers();
}

/** Drops write permission from every TLB entry, so that the next write looks at the frame's attributes. */
export function flushWrites(): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) {
    for (let n: u32 = 0; n < S.CONTEXTS; ++n) {
      const context = S.contextAt(kernel, n);
      if (context == S.contextOf(kernel)) flushContextWrites(context);
      else store<u32>(context, ANY_VERSION, L.CTX_WRITE_VERSION);
    }
  }
}

/** Drops what the contexts in use know that may be stale under these versions. */
export function flushStale(version: u32, low: u32, writes: u32): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) freshen(S.contextOf(kernel), version, low, writes);
}

/** Of a new vCPU. */
export function initialiseTlbs(): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) {
    // Nothing is listed of what the memory holds.
    for (let n: u32 = 0; n < S.CONTEXTS; ++n) forgetLists(S.contextAt(kernel, n));
  }
  flushAll();
}

function forgetLists(context: usize): void {
  store<u32>(context, 1, L.CTX_HIGH);
  store<u32>(context, S.WRITE_LIST + 1, L.CTX_WRITES);
}

export function flushAll(): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) flushContext(S.contextOf(kernel));
  forgetOthers();
}

/**
 * Takes a root into use. What is remembered of it is kept if that was found under the same versions of the page tables; the root that is replaced is remembered.
 * ANY_VERSION keeps nothing.
 */
export function loadRoot(kernel: u32, mfn: u32, version: u32, low: u32, writes: u32): void {
  let found = S.contextOf(kernel);
  if (load<u32>(found, L.CTX_ROOT) != mfn) {
    if (kernel && version != ANY_VERSION && load<u32>(found, L.CTX_VERSION) == version && hasUpperHalf(mfn)) flushContextLow(found);
    else {
      found = contextFor(kernel, mfn);
      if (load<u32>(found, L.CTX_ROOT) != mfn) store<u32>(found, ANY_VERSION, L.CTX_VERSION);
    }
    store<u32>(found, mfn, L.CTX_ROOT);
  }
  freshen(found, version, low, writes);
  uses += 1;
  store<u32>(found, uses, L.CTX_USED);
  S.useContext(kernel, found);
}

/** Whether a root maps the upper half as the kernel's root in use does. It is given accessed bits then as if it had been walked. */
function hasUpperHalf(mfn: u32): bool {
  const root = load<u32>(S.contextOf(1), L.CTX_ROOT);
  if (root >= frameCount || mfn >= frameCount) return false;
  const old = frameBase + (<usize>root << 12);
  const table = frameBase + (<usize>mfn << 12);
  let difference: u64 = 0;
  for (let at = PAGE_BYTES / 2; at < PAGE_BYTES; at += 8) difference |= load<u64>(old + at) ^ load<u64>(table + at);
  if (difference & ~PTE_A) return false;
  if (!difference) return true;
  for (let at = PAGE_BYTES / 2; at < PAGE_BYTES; at += 8) {
    if (load<u64>(old + at) & ~load<u64>(table + at) & PTE_A) setBits(table + at, PTE_A);
  }
  return true;
}

/** A frame is no root any more. */
export function forgetRoot(mfn: u32): void {
  for (let kernel: u32 = 0; kernel < 2; ++kernel) {
    for (let n: u32 = 0; n < S.CONTEXTS; ++n) {
      const context = S.contextAt(kernel, n);
      if (load<u32>(context, L.CTX_ROOT) == mfn && context != S.contextOf(kernel)) store<u32>(context, NO_ROOT, L.CTX_ROOT);
    }
  }
}

/** The context of a root, or else the one to replace: one of none, or the one used longest ago. */
function contextFor(kernel: u32, mfn: u32): usize {
  let oldest: usize = 0;
  for (let n: u32 = 0; n < S.CONTEXTS; ++n) {
    const context = S.contextAt(kernel, n);
    const root = load<u32>(context, L.CTX_ROOT);
    if (root == mfn) return context;
    if (root == NO_ROOT && context != S.contextOf(kernel)) store<u32>(context, 0, L.CTX_USED);
    if (!oldest || load<u32>(context, L.CTX_USED) < load<u32>(oldest, L.CTX_USED)) oldest = context;
  }
  return oldest;
}

export function flushPageOf(va: u64): void {
  const page = va & PAGE;
  for (let kernel: u32 = 0; kernel < 2; ++kernel) {
    const context = S.contextOf(kernel);
    for (let access: u32 = 0; access < 2; ++access) {
      dropPage(context + L.CTX_TABLES + access * S.TLB_SIZE + (<usize>slotNumber(va) << 4), page);
      dropPage(victimSlot(victimsOf(context, access), page), page);
    }
    markLastSlots(context);
    dropCode(context, page);
  }
}

/** Drops a page of code, and all jumps if some may lead there. */
function dropCode(context: usize, page: u64): void {
  const slot = S.codeSlot(context + S.CTX_CODE, page);
  const victim = S.codeVictim(context + S.CTX_CODE, page);
  const known = load<u64>(slot) == page || load<u64>(victim) == page;
  if (!known && load<u32>(victim, 12) != load<u32>(context, L.CTX_GENERATION)) return;
  dropPage(slot, page);
  dropPage(victim, page);
  S.renewGeneration(context);
}

@inline
function dropPage(slot: usize, page: u64): void {
  if (load<u64>(slot) == page) store<u64>(slot, EMPTY);
}
