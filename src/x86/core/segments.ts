// Segment registers and descriptors. All checks are those of CPL 3, in long mode.
//
// The GDT is an array of up to 16 pages whose host addresses the hypervisor keeps in CPU_GDT_FRAMES; the LDT is linear memory, read with the
// current page tables. Limits of segments are not checked (see CAVEATS.md); bases are honoured.

import * as L from "./layout";
import { cpu } from "./state";
import { readPtr, FAULT } from "./mem";

export const ES: u32 = 0;
export const CS: u32 = 1;
export const SS: u32 = 2;
export const DS: u32 = 3;
export const FS: u32 = 4;
export const GS: u32 = 5;

/** Vector and error code of the last refused load. */
export let segmentVector: u32 = 0;
export let segmentError: u32 = 0;

function refuse(vector: u32, selector: u32): bool {
  segmentVector = vector;
  segmentError = selector & 0xfffc;
  return false;
}

/** The descriptor's two words are in these after find(). */
export let descriptorLow: u32 = 0;
export let descriptorHigh: u32 = 0;

/** Fetches a descriptor. False (vector 13, or 14 raised by the LDT's page) when the selector is beyond its table. */
export function findDescriptor(selector: u32): bool {
  const index = selector & 0xfff8;
  if (selector & 4) {
    if (index + 7 > load<u32>(cpu + L.CPU_LDT_LIMIT)) return refuse(13, selector);
    const at = readPtr(load<u64>(cpu + L.CPU_LDT_BASE) + index, 8);
    if (at == FAULT) {
      segmentVector = load<u32>(cpu + L.CPU_EXC_VECTOR);
      segmentError = load<u32>(cpu + L.CPU_EXC_ERROR);
      return false;
    }
    descriptorLow = load<u32>(at);
    descriptorHigh = load<u32>(at, 4);
    return true;
  }
  const page = load<u32>(cpu + L.CPU_GDT_FRAMES + <usize>((index >> 12) << 2));
  if (index + 7 > load<u32>(cpu + L.CPU_GDT_LIMIT) || !page) return refuse(13, selector);
  descriptorLow = load<u32>(<usize>page + (index & 0xff8));
  descriptorHigh = load<u32>(<usize>page + (index & 0xff8), 4);
  return true;
}

/** Sets the descriptor's accessed bit. */
function markAccessed(selector: u32): void {
  if (descriptorHigh & 0x100 || selector & 4) return;
  const page = load<u32>(cpu + L.CPU_GDT_FRAMES + <usize>(((selector & 0xfff8) >> 12) << 2));
  const at = <usize>page + (selector & 0xff8) + 4;
  atomic.or<u32>(at, 0x100);
}

@inline
export function descriptorBase(): u64 {
  return <u64>((descriptorLow >> 16) | ((descriptorHigh & 0xff) << 16) | (descriptorHigh & 0xff000000));
}

export function descriptorLimit(): u32 {
  const limit = (descriptorLow & 0xffff) | (descriptorHigh & 0xf0000);
  return descriptorHigh & 0x800000 ? (limit << 12) | 0xfff : limit;
}

function baseSlot(register: u32): u32 {
  switch (register) {
    case ES: return L.SLOT_ES_BASE;
    case CS: return L.SLOT_CS_BASE;
    case SS: return L.SLOT_SS_BASE;
    case DS: return L.SLOT_DS_BASE;
    case FS: return L.SLOT_FS_BASE;
    default: return L.SLOT_GS_BASE;
  }
}

function setSelector(register: u32, selector: u32, base: u64): void {
  store<u16>(cpu + L.CPU_SELECTORS + register * 2, <u16>selector);
  store<u64>(cpu + baseSlot(register), base);
}

/** ES, SS, DS, FS or GS. False with segmentVector and segmentError set, nothing changed. */
export function loadDataSegment(register: u32, selector: u32): bool {
  selector &= 0xffff;
  if (!(selector & 0xfffc)) {
    if (register == SS) return refuse(13, 0);
    setSelector(register, selector, 0);
    return true;
  }
  if (!findDescriptor(selector)) return false;
  const access = descriptorHigh;
  const dpl = (access >> 13) & 3;
  const isSegment = (access & 0x1000) != 0;
  const isCode = (access & 0x800) != 0;
  const readWrite = (access & 0x200) != 0;
  if (register == SS) {
    if ((selector & 3) != 3 || !isSegment || isCode || !readWrite || dpl != 3) return refuse(13, selector);
    if (!(access & 0x8000)) return refuse(12, selector);
  } else {
    const conforming = isCode && (access & 0x400) != 0;
    if (!isSegment || (isCode && !readWrite) || (!conforming && dpl != 3)) return refuse(13, selector);
    if (!(access & 0x8000)) return refuse(11, selector);
  }
  markAccessed(selector);
  setSelector(register, selector, descriptorBase());
  return true;
}

/** Whether CS may be loaded for a transfer at CPL 3. False with segmentVector and segmentError set; nothing changes. */
export function checkCode(selector: u32): bool {
  selector &= 0xffff;
  if (!(selector & 0xfffc)) return refuse(13, 0);
  if (!findDescriptor(selector)) return false;
  const access = descriptorHigh;
  const dpl = (access >> 13) & 3;
  const conforming = (access & 0x400) != 0;
  if ((access & 0x1800) != 0x1800 || (selector & 3) != 3 || (!conforming && dpl != 3)) return refuse(13, selector);
  const long = (access & 0x200000) != 0;
  const big = (access & 0x400000) != 0;
  // L with D is reserved; 16-bit code segments are not supported.
  if (long == big) return refuse(13, selector);
  if (!(access & 0x8000)) return refuse(11, selector);
  return true;
}

/** CS for a transfer at CPL 3; sets 64-bit or compatibility mode. False with segmentVector and segmentError set. */
export function loadCode(selector: u32): bool {
  if (!checkCode(selector)) return false;
  const long = (descriptorHigh & 0x200000) != 0;
  selector &= 0xffff;
  markAccessed(selector);
  setSelector(CS, selector, long ? 0 : descriptorBase());
  store<u32>(cpu + L.CPU_CODE64, long ? 1 : 0);
  if (!long) store<u64>(cpu + 32, <u64>load<u32>(cpu + 32));
  return true;
}
