// Entries of level-1 page tables that the guest's kernel asks to be written: the common ones, without the host.
//
// Rules:
// - The host keeps books of frames: who owns them, what they are in use as, how often; src/xen/mm/page_info.ts has their rules, and does whatever is declined here. So an
//   update is declined before anything changes, and both ways must leave the same state.
// - Common is: a table in use that holds no code; an old and a new entry that are absent or name the guest's frames, of a type that allows it; no frame is freed by it.
// - New references are taken before old ones are dropped. Other threads only read types, a count before its type.
// - One vCPU at a time changes books and tables: the host gives no books to a domain of several.

import * as L from "./layout";
import { cpu, frameBase, frameCount, attributes } from "./state";
import { flushPageOf } from "./tlb";

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const G: u64 = 0x100;
const NX: u64 = 0x8000000000000000;
const FRAME: u64 = 0x000ffffffffff000;
const FLAGS: u64 = 0xfff;
const EPOCH_MASK: u32 = 0xffffff;
const TABLE: u32 = L.BOOK_TABLE | L.BOOK_VALID;
const WRITABLE: u32 = L.BOOK_WRITABLE | L.BOOK_VALID;
const KIND: u32 = L.BOOK_TYPE_MASK | L.BOOK_VALID;
/** Requests of SERVICE_UPDATE_ENTRY, in the low bits of the address; the accessed and dirty bits stay in the last. */
const WRITE: u32 = 0;
const WRITE_UNTRANSLATED: u32 = 3;
const WRITE_KEEPING: u32 = 2;
/** Flags of SERVICE_UPDATE_MAPPING: the page is dropped from the TLBs, here or everywhere. */
const DROP_PAGE: u32 = 2;
const EVERYWHERE: u32 = 4;

@inline
function bookOf(books: usize, mfn: u32): usize {
  return books + <usize>mfn * L.BOOK_SIZE;
}

/** Whether another mapping that may be writable can be counted for a frame. */
@inline
function canMap(book: usize, writable: bool): bool {
  if (!(load<u32>(book, L.BOOK_FLAGS) & L.BOOK_OWNED)) return false;
  if (!writable) return true;
  const kind = load<u32>(book, L.BOOK_TYPE) & KIND;
  return kind == WRITABLE || (!load<u32>(book, L.BOOK_TYPE_COUNT) && (kind & L.BOOK_TYPE_MASK) != L.BOOK_WRITABLE);
}

function take(book: usize, writable: bool): void {
  if (writable) {
    const count = load<u32>(book, L.BOOK_TYPE_COUNT);
    atomic.store<u32>(book, count + 1, L.BOOK_TYPE_COUNT);
    if (!count && (load<u32>(book, L.BOOK_TYPE) & KIND) != WRITABLE) atomic.store<u32>(book, WRITABLE, L.BOOK_TYPE);
  }
  store<u32>(book, load<u32>(book, L.BOOK_COUNT) + 1, L.BOOK_COUNT);
}

function drop(book: usize, writable: bool): void {
  if (writable) {
    const count = load<u32>(book, L.BOOK_TYPE_COUNT);
    if (count == 1) store<u32>(book, WRITABLE | ((load<u32>(load<u32>(cpu + L.BOOKS_EPOCH)) & EPOCH_MASK) << L.BOOK_EPOCH_SHIFT), L.BOOK_TYPE);
    store<u32>(book, count - 1, L.BOOK_TYPE_COUNT);
  }
  store<u32>(book, load<u32>(book, L.BOOK_COUNT) - 1, L.BOOK_COUNT);
}

/** Notes what remembered translations by the old entry may have that the new one does not give. */
function noteLoss(old: u64, value: u64, high: bool): void {
  if (!(old & P)) return;
  const lost = old & ~value & FLAGS;
  const versions = <usize>load<u32>(cpu + L.BOOKS_VERSIONS);
  let at: usize = 8;
  if ((old ^ value) & FRAME || lost & ~(RW | D) || value & ~old & NX) at = high ? 0 : 4;
  else if (!lost) return;
  store<u32>(versions + at, load<u32>(versions + at) + 1);
}

/** Writes an entry at host address `entry`, with bits of the old one that it keeps. False: declined. */
export function updateEntry(entry: usize, wanted: u64, keep: u64): bool {
  const books = <usize>load<u32>(cpu + L.BOOKS);
  if (!books) return false;
  const table = <u32>((entry - frameBase) >> 12);
  const own = bookOf(books, table);
  if ((load<u32>(own, L.BOOK_TYPE) & KIND) != TABLE || !load<u32>(own, L.BOOK_TYPE_COUNT) || !(load<u32>(own, L.BOOK_FLAGS) & L.BOOK_OWNED)) return false;
  if (load<u8>(attributes + <usize>table) & L.FRAME_CODE) return false;
  const old = load<u64>(entry);
  let value = wanted;
  let takes = false;
  let drops = (old & P) != 0;
  if (value & P) {
    if (value & load<u64>(cpu + L.BOOKS_JUDGED)) return false;
    // Both modes run at CPL 3.
    const kernel = load<u64>(cpu + L.BOOKS_KERNEL);
    if (!(value & US)) value |= US | kernel;
    else if (!(value & kernel)) value |= G;
    takes = ((old ^ value) & ~load<u64>(cpu + L.BOOKS_UNCOUNTED)) != 0;
    drops = drops && takes;
  }
  const to = (value & FRAME) >> 12;
  const from = <u32>((old & FRAME) >> 12);
  const taken = bookOf(books, <u32>to);
  const dropped = bookOf(books, from);
  if (takes && (to >= frameCount || !canMap(taken, (value & RW) != 0))) return false;
  if (drops) {
    if (from >= frameCount) return false;
    const count = load<u32>(dropped, L.BOOK_COUNT);
    if (!count || (count == 1 && !(takes && taken == dropped))) return false;
    if (old & RW && ((load<u32>(dropped, L.BOOK_TYPE) & KIND) != WRITABLE || !load<u32>(dropped, L.BOOK_TYPE_COUNT))) return false;
  }
  if (takes) take(taken, (value & RW) != 0);
  value |= old & keep;
  noteLoss(old, value, (load<u32>(own, L.BOOK_TYPE) & L.BOOK_HIGH) != 0);
  store<u64>(entry, value);
  if (drops) drop(dropped, (old & RW) != 0);
  return true;
}

/** SERVICE_UPDATE_ENTRY of one request, copied from `request`. */
export function serveEntry(request: usize): bool {
  const address = load<u64>(request);
  const command = <u32>address & 7;
  if (command != WRITE && command != WRITE_UNTRANSLATED && command != WRITE_KEEPING) return false;
  if (address >> 12 >= frameCount) return false;
  return updateEntry(frameBase + (<usize>address & ~<usize>7), load<u64>(request, 8), command == WRITE_KEEPING ? A | D : 0);
}

/** SERVICE_UPDATE_MAPPING, for an address that is the guest's to map. */
export function serveMapping(va: u64, value: u64, flags: u64): bool {
  if (flags && (flags & ~<u64>EVERYWHERE) != DROP_PAGE) return false;
  let table = load<u32>(cpu + L.CPU_CR3_KERNEL);
  for (let shift: u64 = 39; shift > 12; shift -= 9) {
    if (table >= frameCount) return false;
    const entry = load<u64>(frameBase + (<usize>table << 12) + (<usize>((va >> shift) & 511) << 3));
    if (!(entry & P)) return false;
    table = <u32>((entry & FRAME) >> 12);
  }
  if (table >= frameCount) return false;
  if (!updateEntry(frameBase + (<usize>table << 12) + (<usize>((va >> 12) & 511) << 3), value, 0)) return false;
  if (flags) flushPageOf(va);
  return true;
}
