// Page walks, and the slow paths of whatever misses the TLBs (tlb.ts).
//
// Rules:
// - Every access is made at CPL 3: a page is reachable only if all levels have U, writable only if all have RW (CR0.WP is irrelevant to CPL 3).
// - A TLB entry never grants more than the walk did at that moment: a write entry exists only after D has been set, and only for a
//   frame whose attribute byte is 0 at the time. Whoever sets an attribute bit flushes the write TLBs of every vCPU.
// - Kernel and user have a TLB each, filled from their own root.
// - Attribute bytes: CODE writes drop the code they overlap, HOOK writes go to the host, ABSENT frames read as not present.

import * as L from "./layout";
import * as S from "./state";
import { cpu, frameBase, frameCount, attributes } from "./state";
import { protectedWrite } from "./host";
import { codeWritten } from "./cache";
import { updateEntry } from "./table_updates";
import { fill, findCode, findRead, findWrite, flushData, putCode, MISS } from "./tlb";

export const FAULT: usize = 0xffffffff;

const PTE_P: u64 = 1;
const PTE_RW: u64 = 2;
const PTE_US: u64 = 4;
export const PTE_A: u64 = 0x20;
const PTE_D: u64 = 0x40;
const PTE_PS: u64 = 0x80;
const PTE_NX: u64 = 0x8000000000000000;
const PTE_ADDRESS: u64 = 0x000ffffffffff000;

const PF_P: u32 = 1;
const PF_W: u32 = 2;
const PF_U: u32 = 4;
const PF_RSVD: u32 = 8;
const PF_I: u32 = 16;

@inline
export function isCanonical(va: u64): bool {
  return <u64>(<i64>(va << 16) >> 16) == va;
}

/** Result of the last successful walk(): the leaf's rights. */
let walkWritable: bool = false;
let walkDirty: bool = false;
/** The error code of the last failed walk. */
let walkError: u32 = 0;

/** Sets bits in an entry that another thread may change at the same time. */
@inline
export function setBits(entry: usize, bits: u64): void {
  atomic.or<u64>(entry, bits);
}

/**
 * Walks the current mode's page tables. Returns the mfn, or -1 with walkError set. Sets accessed bits, and dirty for a write that is allowed.
 * A write to a read-only page fails with P set in walkError and walkReadOnlyMfn the frame.
 */
let walkReadOnlyMfn: i32 = -1;
function walk(va: u64, access: u32): i32 {
  S.count(L.CNT_TLB_MISSES + access * 8);
  walkReadOnlyMfn = -1;
  const base: u32 = PF_U | (access == L.ACCESS_WRITE ? PF_W : 0) | (access == L.ACCESS_EXEC ? PF_I : 0);
  const root = load<u32>(cpu + (load<u32>(cpu + L.CPU_KERNEL_MODE) ? L.CPU_CR3_KERNEL : L.CPU_CR3_USER));
  let mfn: u64 = root;
  let writable = true;
  let user = true;
  let executable = true;
  let shift: u64 = 39;
  while (true) {
    if (mfn >= frameCount) {
      walkError = base | PF_P | PF_RSVD;
      return -1;
    }
    const entry = frameBase + (<usize>mfn << 12) + (<usize>((va >> shift) & 511) << 3);
    const pte = load<u64>(entry);
    if (!(pte & PTE_P)) {
      walkError = base;
      return -1;
    }
    writable = writable && (pte & PTE_RW) != 0;
    user = user && (pte & PTE_US) != 0;
    executable = executable && (pte & PTE_NX) == 0;
    const large = shift > 12 && (pte & PTE_PS) != 0;
    if (shift == 39 && large) {
      walkError = base | PF_P | PF_RSVD;
      return -1;
    }
    const address = pte & PTE_ADDRESS;
    if (shift == 12 || large) {
      // Bits 20..13 (2 MiB) or 29..13 (1 GiB) of a large page's entry are reserved; bit 12 is PAT.
      const span: u64 = (<u64>1 << shift) - 1;
      if (large && (address & span & ~<u64>0x1000)) {
        walkError = base | PF_P | PF_RSVD;
        return -1;
      }
      const frame = ((address & ~span) | (va & span)) >> 12;
      if (frame >= frameCount) {
        walkError = base | PF_P | PF_RSVD;
        return -1;
      }
      if (!user || (access == L.ACCESS_EXEC && !executable) || (access == L.ACCESS_WRITE && !writable)) {
        if (user && access == L.ACCESS_WRITE) walkReadOnlyMfn = <i32>frame;
        walkError = base | PF_P;
        return -1;
      }
      if (load<u8>(attributes + <usize>frame) & L.FRAME_ABSENT) {
        walkError = base;
        return -1;
      }
      const bits: u64 = access == L.ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
      if ((pte & bits) != bits) setBits(entry, bits);
      walkWritable = writable;
      walkDirty = ((pte | bits) & PTE_D) != 0;
      return <i32>frame;
    }
    if (!(pte & PTE_A)) setBits(entry, PTE_A);
    mfn = address >> 12;
    shift -= 9;
  }
}

// ---- alignment checking (CR0.AM and RFLAGS.AC) ------------------------------------------------------------------------

/** Whether accesses are checked for alignment now; the TLBs are bypassed while it is set. */
export let alignmentCheck: bool = false;
export function setAlignmentCheck(on: bool): void {
  if (alignmentCheck == on) return;
  alignmentCheck = on;
  flushData();
}

// ---- slow paths ------------------------------------------------------------------------------------------------------

/** A write that ended in the bounce buffer: where it goes. */
let pendingSize: u32 = 0;
let pendingFirst: u32 = 0;
let pendingHostA: usize = 0;
let pendingHostB: usize = 0;
let pendingMaddrA: u32 = 0;
let pendingMaddrB: u32 = 0;
let pendingHookA: bool = false;
let pendingHookB: bool = false;
let pendingVa: u64 = 0;
let pendingDrops: bool = false;

/** One page's worth of a read: the host address, or FAULT with the exception raised. */
function readPage(va: u64): usize {
  const known = findRead(va);
  if (known != MISS) return known;
  if (!isCanonical(va)) {
    S.raiseNonCanonical();
    return FAULT;
  }
  const mfn = walk(va, L.ACCESS_READ);
  if (mfn < 0) {
    S.raisePageFault(va, walkError);
    return FAULT;
  }
  if (!alignmentCheck) fill(L.ACCESS_READ, va, mfn);
  return frameBase + (<usize>mfn << 12) + (<usize>va & 0xfff);
}

let writeHook: bool = false;
/** The write that writePage() was asked for drops decoded code, perhaps the very code that runs. */
let writeDrops: bool = false;
/** One page's worth of a write: the host address, or FAULT with the exception raised. writeHook tells that the host must do it. */
function writePage(va: u64, size: u32): usize {
  writeHook = false;
  writeDrops = false;
  const known = findWrite(va);
  if (known != MISS) return known;
  if (!isCanonical(va)) {
    S.raiseNonCanonical();
    return FAULT;
  }
  let mfn = walk(va, L.ACCESS_WRITE);
  if (mfn < 0) {
    const frame = walkReadOnlyMfn;
    if (frame >= 0 && load<u8>(attributes + <usize>frame) & L.FRAME_HOOK) {
      writeHook = true;
      return frameBase + (<usize>frame << 12) + (<usize>va & 0xfff);
    }
    S.raisePageFault(va, walkError);
    return FAULT;
  }
  const attribute = load<u8>(attributes + <usize>mfn);
  if (attribute & L.FRAME_HOOK) {
    // A writable mapping of a page in use as a page table: cannot come to be, but never trust it.
    S.raisePageFault(va, PF_P | PF_W | PF_U);
    return FAULT;
  }
  const host = frameBase + (<usize>mfn << 12) + (<usize>va & 0xfff);
  if (attribute & L.FRAME_CODE) writeDrops = codeWritten(mfn, <u32>va & 0xfff, size);
  if (!alignmentCheck) {
    // What was written is read soon.
    fill(L.ACCESS_READ, va, mfn);
    if (!load<u8>(attributes + <usize>mfn)) fill(L.ACCESS_WRITE, va, mfn);
  }
  return host;
}

/** Host address of a frame of the host's making, plainly mapped for reading or writing and not across pages; 0 for all else. Raises nothing. */
export function framePointer(va: u64, write: u32): usize {
  const known = write ? findWrite(va) : findRead(va);
  if (known != MISS) return known;
  if (!isCanonical(va) || alignmentCheck) return 0;
  const mfn = walk(va, write ? L.ACCESS_WRITE : L.ACCESS_READ);
  if (mfn < 0 || (write && load<u8>(attributes + <usize>mfn))) return 0;
  fill(write, va, mfn);
  return frameBase + (<usize>mfn << 12) + (<usize>va & 0xfff);
}

/** Host address of `bytes` bytes that a translated region may read, or write, where they lie; FAULT for all else. Raises nothing. */
export function findSpan(va: u64, bytes: u32, write: u32): usize {
  const host = (<u32>va & 0xfff) + bytes > 4096 ? MISS : framePointer(va, write);
  if (host != MISS) return host;
  S.count(L.CNT_SPANS_REFUSED);
  store<u32>(cpu, load<u32>(cpu, L.CPU_REGION_LAST), L.CPU_REGION_REFUSED);
  return FAULT;
}

@inline
function misaligned(va: u64, size: u32): bool {
  return alignmentCheck && size <= 8 && (<u32>va & (size - 1)) != 0;
}

/** A read that missed the TLB or crosses a page. Up to 64 bytes. */
export function readSlow(va: u64, size: u32): usize {
  if (misaligned(va, size)) {
    raiseAlignment();
    return FAULT;
  }
  const first: u32 = 4096 - (<u32>va & 0xfff);
  if (first >= size) return readPage(va);
  if (!isCanonical(va + size - 1)) {
    S.raiseNonCanonical();
    return FAULT;
  }
  const a = readPage(va);
  if (a == FAULT) return FAULT;
  const b = readPage(va + first);
  if (b == FAULT) return FAULT;
  const buffer = cpu + L.CPU_SPLIT_BUFFER;
  memory.copy(buffer, a, first);
  memory.copy(buffer + first, b, size - first);
  return buffer;
}

function raiseAlignment(): void {
  S.raise(17, 0);
}

/**
 * A write that missed the TLB, crosses a page, goes to the host or drops decoded code. Up to 64 bytes. Where the store is not to be made in place the
 * result is the bounce buffer (an address below frameBase), holding the present contents; after storing there the caller calls commitWrite().
 */
export function writeSlow(va: u64, size: u32): usize {
  if (misaligned(va, size)) {
    raiseAlignment();
    return FAULT;
  }
  const first: u32 = 4096 - (<u32>va & 0xfff);
  const buffer = cpu + L.CPU_SPLIT_BUFFER;
  if (first >= size) {
    const host = writePage(va, size);
    if (host == FAULT || !(writeHook || writeDrops)) return host;
    memory.copy(buffer, host, size);
    pendingSize = size;
    pendingFirst = size;
    pendingHookA = writeHook;
    pendingDrops = writeDrops;
    pendingHostA = host;
    pendingMaddrA = <u32>(host - frameBase);
    pendingVa = va;
    return buffer;
  }
  if (!isCanonical(va + size - 1)) {
    S.raiseNonCanonical();
    return FAULT;
  }
  const a = writePage(va, first);
  if (a == FAULT) return FAULT;
  const hookA = writeHook;
  const dropsA = writeDrops;
  const b = writePage(va + first, size - first);
  if (b == FAULT) return FAULT;
  pendingSize = size;
  pendingFirst = first;
  pendingHostA = a;
  pendingHostB = b;
  pendingHookA = hookA;
  pendingHookB = writeHook;
  pendingDrops = dropsA || writeDrops;
  pendingMaddrA = <u32>(a - frameBase);
  pendingMaddrB = <u32>(b - frameBase);
  pendingVa = va;
  memory.copy(buffer, a, first);
  memory.copy(buffer + first, b, size - first);
  return buffer;
}

/** The host was asked to make the last hooked write: it may have changed any mapping. What updateEntry() does leaves the TLBs as they are. */
let askedHost: bool = false;

/** Hands a hooked write to the host in naturally sized pieces. */
function hookedWrite(maddr: u32, from: usize, size: u32): bool {
  while (size) {
    let piece: u32 = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
    while (maddr & (piece - 1)) piece >>= 1;
    let lo: u32 = 0;
    let hi: u32 = 0;
    if (piece == 8) {
      lo = load<u32>(from);
      hi = load<u32>(from, 4);
    } else if (piece == 4) lo = load<u32>(from);
    else if (piece == 2) lo = load<u16>(from);
    else lo = load<u8>(from);
    if (piece != 8 || !updateEntry(frameBase + maddr, load<u64>(from), 0)) {
      askedHost = true;
      if (!protectedWrite(maddr, piece, lo, hi)) return false;
    }
    maddr += piece;
    from += piece;
    size -= piece;
  }
  return true;
}

/**
 * Carries out the store that was made in the bounce buffer. 0: it is refused, with #PF raised. 1: done. 2: done, and decoded code was dropped: whoever runs
 * translated code must leave it after this instruction. 3: done, by the host: mappings may have changed.
 */
export function commitWrite(): i32 {
  const buffer = cpu + L.CPU_SPLIT_BUFFER;
  let done = true;
  askedHost = false;
  if (pendingHookA) done = hookedWrite(pendingMaddrA, buffer, pendingFirst);
  else memory.copy(pendingHostA, buffer, pendingFirst);
  if (done && pendingFirst < pendingSize) {
    const rest = pendingSize - pendingFirst;
    if (pendingHookB) done = hookedWrite(pendingMaddrB, buffer + pendingFirst, rest);
    else memory.copy(pendingHostB, buffer + pendingFirst, rest);
  }
  if (!done) {
    S.raisePageFault(pendingVa, PF_P | PF_W | PF_U);
    return 0;
  }
  if (pendingDrops) return 2;
  return askedHost ? 3 : 1;
}

// ---- code ------------------------------------------------------------------------------------------------------------

/** The frame that holds code at `va`, or -1 with the exception raised. */
export function codeFrame(va: u64): i32 {
  const mfn = findCodeFrame(va);
  if (mfn >= 0) return mfn;
  if (isCanonical(va)) S.raisePageFault(va, walkError);
  else S.raise(13, 0);
  return -1;
}

/** A context that begins as a copy of another has its generation too; what is remembered of low code must not be taken for the other's. */
function noteLowCode(): void {
  const context = S.contextOf(load<u32>(cpu + L.CPU_KERNEL_MODE));
  if (load<u32>(context, L.CTX_LOW_CODE)) return;
  store<u32>(context, 1, L.CTX_LOW_CODE);
  S.renewGeneration(context);
}

/** The same without raising anything. */
export function findCodeFrame(va: u64): i32 {
  const known = findCode(va);
  if (known >= 0 || !isCanonical(va)) return known;
  const mfn = walk(va, L.ACCESS_EXEC);
  if (mfn < 0) return -1;
  putCode(va & ~<u64>0xfff, mfn);
  if (<i64>va >= 0) noteLowCode();
  return mfn;
}

// ---- host's view -------------------------------------------------------------------------------------------------------

/** See Cpu.translate(). */
export function translateForHost(va: u64, access: u32): i32 {
  if (!isCanonical(va)) return -1;
  const known = access == L.ACCESS_EXEC ? MISS : access == L.ACCESS_WRITE ? findWrite(va) : findRead(va);
  if (known != MISS) return <i32>known;
  const mfn = walk(va, access);
  if (mfn < 0) return -1;
  if (access == L.ACCESS_WRITE) {
    const attribute = load<u8>(attributes + <usize>mfn);
    if (attribute & L.FRAME_HOOK) return -1;
    // The host writes an unknown number of bytes.
    if (attribute & L.FRAME_CODE) codeWritten(mfn, 0, 4096);
  }
  return <i32>(frameBase + (<usize>mfn << 12) + (<usize>va & 0xfff));
}
