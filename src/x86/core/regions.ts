// Translated regions as the core sees them.
//
// Rules:
// - A region is found through its entry's record, so dropping the code of the entry's frame drops the way in. It may go on in other pages: those are only good
//   while they are mapped to the frames that they were translated from, executable, and the code in those frames was not dropped since.
//   verifyPage() asks that when control goes there for the first time in a run, or since anything has changed. Inside a region no mapping changes but as one
//   would whose old translation is still in a TLB (a write to a page table that is not followed by a flush), and an instruction that drops code leaves it.
// - Its lines in every page stay protected (cache.ts) while it is installed, or the frame's version has grown.
// - A region with a page whose code was dropped takes itself away: the entry's record is what it was, and can be translated anew.

import * as K from "./flag_kinds";
import * as L from "./layout";
import * as S from "./state";
import { findCodeFrame, isCanonical } from "./mmu";
import { jumpGeneration } from "./state";
import { bringJump, dropJumps, findEntry, isJump, jumpSlot, regionOfJump, regionOfReturn, rememberReturn } from "./cache";
import { JUMP, LEAVE } from "./execute";
import { ccA, ccB, ccKind, keepFlags, settleKept } from "./flags";
import { switchRings, SWITCH_COST } from "./ring_switch";
import { OP_EA, OP_F_REGION } from "./generated/ops";

const RSP = L.CPU_GPR + 32;

@inline
function versionOf(mfn: u32): u32 {
  return load<u32>(S.frameVersions + (<usize>mfn << 2));
}

/** Version of a frame's code: grows whenever some of it is dropped. */
export function frameVersion(mfn: u32): u32 {
  return mfn < S.frameCount ? versionOf(mfn) : 0;
}

/** The frame that code at a linear address would be fetched from in the present mode, or -1. */
export function codeFrameAt(va: f64): i32 {
  return findCodeFrame(<u64><i64>va);
}

/**
 * Makes the entry point at a physical address run the region at `region`, function `index` of the table. False when there is no such entry point, or the code of
 * one of its frames has been dropped since the versions in `region` were taken.
 */
export function installRegion(physical: u32, index: u32, region: usize): i32 {
  const record = findEntry(physical, 1);
  if (!record || load<u16>(record, L.REC_OP) == <u16>OP_EA || load<u16>(record, L.REC_OP) == <u16>OP_F_REGION) return 0;
  const count = load<u32>(region, L.REGION_PAGES);
  for (let n: u32 = 0; n < count; ++n) {
    const frame = region + L.REGION_FRAMES + n * L.REGION_FRAME_SIZE;
    if (versionOf(load<u32>(frame, 4)) != load<u32>(frame, 8)) return 0;
  }
  store<u64>(region, ~<u64>0, L.REGION_PAGE);
  store<u32>(region, <u32>record, L.REGION_ENTRY);
  store<u16>(region, load<u16>(record, L.REC_OP), L.REGION_OPERATION);
  store<u32>(region, load<u32>(record, L.REC_LINK), L.REGION_LINK);
  store<u32>(record, index, L.REC_LINK);
  store<u16>(record, <u16>OP_F_REGION, L.REC_OP);
  return 1;
}

/** The region has been entered through its record, but a page's code is not what it was made from. */
function takeAway(region: usize): void {
  const record = <usize>load<u32>(region, L.REGION_ENTRY);
  if (load<u16>(record, L.REC_OP) != <u16>OP_F_REGION) return;
  store<u16>(record, load<u16>(region, L.REGION_OPERATION), L.REC_OP);
  store<u32>(record, load<u32>(region, L.REGION_LINK), L.REC_LINK);
  dropJumps();
}

/** Whether a region that runs at linear page `page` may go on in its page number `n`. What is found good holds for its next runs too, while nothing changes. */
export function verifyPage(region: usize, page: u64, n: u32): i32 {
  const frame = region + L.REGION_FRAMES + n * L.REGION_FRAME_SIZE;
  const mfn = load<u32>(frame, 4);
  if (versionOf(mfn) != load<u32>(frame, 8)) {
    takeAway(region);
    return 0;
  }
  if (findCodeFrame(page + (<i64>load<i32>(frame) << 12)) != <i32>mfn) return 0;
  let good: u32 = 1;
  if (load<u64>(region, L.REGION_PAGE) == page && load<u32>(region, L.REGION_GENERATION) == jumpGeneration) {
    good = load<u16>(region, L.REGION_GOOD);
  } else {
    store<u64>(region, page, L.REGION_PAGE);
    store<u32>(region, jumpGeneration, L.REGION_GENERATION);
  }
  store<u16>(region, <u16>(good | (1 << n)), L.REGION_GOOD);
  return 1;
}

/** Region that the entry point at a physical address runs, or 0. */
export function regionAt(physical: u32): u32 {
  const record = findEntry(physical, 1);
  return record && load<u16>(record, L.REC_OP) == <u16>OP_F_REGION ? load<u32>(record, L.REC_LINK) : 0;
}

/** The index of the region at a canonical linear address, or 0 where none is known. */
@inline
function regionFor(target: u64): u32 {
  const slot = jumpSlot(target);
  return isJump(slot, target) || bringJump(slot, target) ? regionOfJump(slot) : 0;
}

function toMainLoop(budget: i32, target: u64): i32 {
  store<u64>(S.cpu + L.CPU_RIP, target);
  store<i32>(S.cpu + L.CPU_REGION_STATUS, JUMP);
  return budget;
}

/** What a region finds at its entry. */
@inline
function enter(target: u64, index: u32): void {
  store<u64>(S.cpu + L.SLOT_PAGE, target & ~<u64>0xfff);
  S.count(L.CNT_REGIONS);
  store<u32>(S.cpu + L.CPU_REGION_LAST, index);
}

/**
 * A region ends with a jump to a canonical linear address; registers and flags are where a region finds them. Goes on in the region there, charged for like one
 * that the main loop enters, while there is budget; else returns to the main loop. What is left of the budget.
 *
 * The last call is made a tail call (scripts/build_core.ts): regions that follow one another take no stack.
 */
export function goOn(budget: i32, target: u64): i32 {
  const index = regionFor(target);
  if (!index || budget <= 0) return toMainLoop(budget, target);
  enter(target, index);
  return call_indirect<i32>(index, budget - L.REGION_CHARGE);
}

/** As goOn(), where a region ends with a call; the address of what is behind it, `next`, has been pushed. */
export function callOn(budget: i32, target: u64, next: u64): i32 {
  rememberReturn(load<u64>(S.cpu + RSP), next);
  const index = regionFor(target);
  if (!index || budget <= 0) return toMainLoop(budget, target);
  enter(target, index);
  return call_indirect<i32>(index, budget - L.REGION_CHARGE);
}

/** As goOn(), where a region ends with a return; the address has been popped. */
export function returnOn(budget: i32, target: u64): i32 {
  let index = regionOfReturn(load<u64>(S.cpu + RSP) - 8, target);
  if (index) {
    S.count(L.CNT_RETURNS_REMEMBERED);
  } else {
    S.count(L.CNT_RETURNS_LOOKED_UP);
    index = regionFor(target);
  }
  if (!index || budget <= 0) return toMainLoop(budget, target);
  enter(target, index);
  return call_indirect<i32>(index, budget - L.REGION_CHARGE);
}

/**
 * A region ends with the SYSCALL of a record, `next` being the address behind it; registers and flags are where a region finds them. Goes on where the ring switch
 * leads, as goOn() does, or returns to the main loop for the host to make it. What is left of the budget. The last call is a tail call, too.
 */
export function systemCall(budget: i32, next: u64, record: usize): i32 {
  store<u64>(S.cpu + L.CPU_RIP, next);
  S.setExit(L.EXIT_SYSCALL);
  settleKept();
  if (budget <= SWITCH_COST || !switchRings()) {
    store<u32>(S.cpu + L.CPU_KEPT_KIND, K.KEPT_NONE);
    store<u32>(S.cpu + L.CPU_REGION_RECORD, <u32>record);
    store<i32>(S.cpu + L.CPU_REGION_STATUS, LEAVE);
    return budget;
  }
  keepFlags(ccKind, ccA, ccB);
  const target = load<u64>(S.cpu + L.CPU_RIP);
  if (!isCanonical(target)) {
    store<i32>(S.cpu + L.CPU_REGION_STATUS, JUMP);
    return budget - SWITCH_COST;
  }
  return goOn(budget - SWITCH_COST, target);
}
