// The core's exports; see CoreExports in src/x86/cpu.ts.

import * as L from "./layout";
import * as S from "./state";
import { cpu, exitReason, raise } from "./state";
import { initialiseCache, dropFrame, emptyAll, findEntry } from "./cache";
import { codeFrame, translateForHost, setAlignmentCheck } from "./mmu";
import { flushAll, flushPageOf, flushStale as flushStaleOnes, flushWrites, forgetRoot as forget, initialiseTlbs, loadRoot } from "./tlb";
import { enter, decodeOne, setGeneralOnly as setGeneral } from "./trace";
import { interpret, budgetLeft, isSampled, LATE } from "./generated/interpreter";
import { statusFlags, setFlags, STATUS } from "./flags";
import { loadDataSegment, loadCode } from "./segments";
import { codeAddress } from "./execute";
import { switchRings, SWITCH_COST } from "./ring_switch";
import { decode, decodedLength, decodedOperation } from "./decode";
import { OP_F_REGION, OP_STEP_END, OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS } from "./generated/ops";

const TF: u32 = 0x100;
const AC: u32 = 0x40000;
const CR0_AM: u32 = 0x40000;
/** Elements of a repeated string instruction that step() does before giving up. */
const STEP_BUDGET: i32 = 1 << 20;

export function initialise(state: usize, frameBase: usize, frames: u32, attributes: usize): void {
  S.initialiseState(state, frameBase, frames, attributes);
  initialiseCache();
  initialiseTlbs();
}

/** Lazy flags from RFLAGS, and what RFLAGS switches on. */
function load_flags(): u32 {
  const flags = load<u32>(cpu + L.CPU_RFLAGS);
  setFlags(flags);
  setAlignmentCheck((flags & AC) != 0 && (load<u32>(cpu + L.CPU_CR0) & CR0_AM) != 0);
  return flags;
}

function store_flags(): void {
  store<u64>(cpu + L.CPU_RFLAGS, <u64>((load<u32>(cpu + L.CPU_RFLAGS) & ~STATUS) | statusFlags() | 0x202));
}

export function run(budget: i32): i32 {
  const exit = runUntilExit(budget);
  S.count(L.CNT_EXITS + exit * 8);
  return exit;
}

function runUntilExit(budget: i32): i32 {
  const flags = load_flags();
  if (flags & TF) {
    const reason = stepOnce();
    if (reason != L.EXIT_BUDGET) return reason;
    // DR6.BS; a trap: RIP is the next instruction.
    store<u64>(cpu + L.CPU_DR + 32, load<u64>(cpu + L.CPU_DR + 32) | 0x4000);
    raise(1, 0);
    return L.EXIT_EXCEPTION;
  }
  let left = budget;
  let record = enter(load<u64>(cpu + L.CPU_RIP));
  while (true) {
    if (record) {
      interpret(record, left);
      left = budgetLeft;
      store<u64>(cpu + L.CPU_RIP, codeAddress(load<u64>(cpu + L.CPU_RIP)));
    } else store<u32>(cpu + L.CPU_INSN_LENGTH, 0);
    if (left <= SWITCH_COST || !switchRings()) break;
    left -= SWITCH_COST;
    record = enter(load<u64>(cpu + L.CPU_RIP));
    // No budget ends where the guest's kernel or user mode is entered, before the first way back, call or return.
    if (record && load<u16>(record) != <u16>OP_F_REGION && isSampled()) {
      S.setExit(L.EXIT_BUDGET);
      break;
    }
  }
  store<u64>(cpu + L.CPU_ICOUNT, load<u64>(cpu + L.CPU_ICOUNT) + <u64>(budget - left));
  store_flags();
  return exitReason;
}

function stepOnce(): i32 {
  const rip = load<u64>(cpu + L.CPU_RIP);
  const record = decodeOne(rip, OP_STEP_END);
  if (!record) {
    store<u32>(cpu + L.CPU_INSN_LENGTH, 0);
    return exitReason;
  }
  // A taken branch ends the loop by its charge; a repeated string instruction is seen through.
  const repeats = isString(decodedOperation) && (load<u8>(record, L.REC_FLAGS) & (L.RF_REP | L.RF_REPNE)) != 0;
  interpret(record, repeats ? STEP_BUDGET : LATE + 1);
  store<u64>(cpu + L.CPU_RIP, codeAddress(load<u64>(cpu + L.CPU_RIP)));
  store<u64>(cpu + L.CPU_ICOUNT, load<u64>(cpu + L.CPU_ICOUNT) + 1);
  store_flags();
  return exitReason;
}

function isString(op: i32): bool {
  return op == OP_MOVS || op == OP_CMPS || op == OP_STOS || op == OP_LODS || op == OP_SCAS;
}

/**
 * For the translator: decodes the instruction at host address `at`, `available` bytes of it readable, at `off` of its page into general
 * records from `rec` on. Returns the number of records in bits 0..7 (0: runs into the next page) and the length in bits 8..15.
 */
export function decodeRecord(at: usize, available: u32, rec: usize, off: u32, code64: u32): u32 {
  const used = decode(at, available, rec, off, code64 != 0, false);
  return used | (decodedLength << 8);
}

// ---- for translated regions ----------------------------------------------------------------------------------------------

export { ccKind, ccA, ccB, settle, settleKept, flagsKept, conditionKept, carryKept } from "./flags";
export { jumpGeneration, frameBase, regionArena } from "./state";
export { readSlow, writeSlow, commitWrite, findSpan } from "./mmu";
export { storeSlow } from "./mem";
export { execute } from "./execute";
export { timestamp } from "./system";
export {
  raiseSimdUnavailable, raiseMisaligned, doubleArithmetic, singleArithmetic, packedDoubleArithmetic, packedSingleArithmetic, compareDoubles, compareSingles,
  singleToDouble, doubleToSingle, integerToDouble, integerToSingle, sseReady, sseStatus, sseQuarters,
} from "./sse_region";
export { enterAt } from "./trace";
export { protectLines } from "./cache";
export { installRegion, regionAt, verifyPage, goOn, callOn, returnOn, systemCall, codeFrameAt, frameVersion } from "./regions";

/** Entries of a data TLB. */
export function tlbEntries(): u32 {
  return S.TLB_ENTRIES;
}

/** Physical address of the instruction at CPU_RIP, or 0xffffffff when it cannot be fetched or is compatibility code. */
export function codeAddressPhysical(): u32 {
  if (!load<u32>(cpu + L.CPU_CODE64)) return 0xffffffff;
  const rip = load<u64>(cpu + L.CPU_RIP);
  const mfn = codeFrame(rip);
  return mfn < 0 ? 0xffffffff : (<u32>mfn << 12) | (<u32>rip & 0xfff);
}

/** Makes the instruction at CPU_RIP an entry point. False when it cannot be fetched. */
export function enterHere(): i32 {
  return enter(load<u64>(cpu + L.CPU_RIP)) ? 1 : 0;
}

/** Whether 64-bit code has been entered at a physical address. */
export function isEntry(physical: u32): i32 {
  return findEntry(physical, 1) ? 1 : 0;
}

/** Forgets all decoded code, and with it every region's entry point. */
export function dropAllCode(): void {
  emptyAll();
}

export function step(): i32 {
  load_flags();
  return stepOnce();
}

export function translate(va: f64, access: u32): i32 {
  return translateForHost(<u64><i64>va, access);
}

export function flushTlb(): void {
  flushAll();
}

export function flushPage(va: f64): void {
  flushPageOf(<u64><i64>va);
}

export function flushWriteTlb(): void {
  flushWrites();
}

export function flushStale(version: u32, low: u32, writes: u32): void {
  flushStaleOnes(version, low, writes);
}

export function setKernelRoot(mfn: u32, version: u32, low: u32, writes: u32): void {
  store<u32>(cpu + L.CPU_CR3_KERNEL, mfn);
  loadRoot(1, mfn, version, low, writes);
}

export function setUserRoot(mfn: u32, version: u32, low: u32, writes: u32): void {
  store<u32>(cpu + L.CPU_CR3_USER, mfn);
  loadRoot(0, mfn, version, low, writes);
}

export function forgetRoot(mfn: u32): void {
  forget(mfn);
}

export function setKernelMode(kernel: u32): void {
  S.setMode(kernel);
}

export function invalidateFrame(mfn: u32): void {
  dropFrame(mfn);
}

export function loadSegment(register: u32, selector: u32): i32 {
  return loadDataSegment(register, selector) ? 1 : 0;
}

export function loadCodeSegment(selector: u32): i32 {
  return loadCode(selector) ? 1 : 0;
}

/** Tests only: use the general executors for everything (1) or the specialised operations too (0). */
export function setGeneralOnly(on: u32): void {
  setGeneral(on != 0);
}
