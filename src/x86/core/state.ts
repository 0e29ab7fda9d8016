// The vCPU's private area and the addresses that everything else in the core uses. One core instance serves one vCPU.

import * as L from "./layout";

/** Host address of the vCPU's state block. */
export let cpu: usize = 0;
/** Host address of frame 0, and the number of frames. */
export let frameBase: usize = 0;
export let frameCount: u32 = 0;
/** Host address of the per-frame attribute bytes. */
export let attributes: usize = 0;

// The vCPU's area after its state block. Sizes in bytes.
export const TLB_BITS: u32 = 11;
export const TLB_ENTRIES: u32 = 1 << TLB_BITS;
/** Data TLB entry: u64 tag (page address; ~0: empty), u32 addend (host address = wrap32(va) + addend), u32 pad. */
export const TLB_ENTRY: u32 = 16;
export const TLB_SIZE: u32 = TLB_ENTRIES * TLB_ENTRY;

export const XTLB_ENTRIES: u32 = 512;
/** Code TLB entry: u64 tag, u32 mfn, u32 pad. */
export const XTLB_SIZE: u32 = XTLB_ENTRIES * 16;
/** Entries of the code TLB's victims, which are as its own; in the pad is the jump generation in which one was lost here. */
const CODE_VICTIMS: u32 = 512;
export const CODE_VICTIMS_SIZE: u32 = CODE_VICTIMS * 16;

/** Slot of a page in a code TLB. Code that is far apart is often so by multiples of 2 MiB. */
@inline
export function codeSlot(table: usize, va: u64): usize {
  return table + (((<usize>(va >> 12) ^ <usize>(va >> 21)) & (XTLB_ENTRIES - 1)) << 4);
}

/** Slot of a page in the victims of a code TLB: those that have one slot there have others here. */
@inline
export function codeVictim(table: usize, va: u64): usize {
  return table + XTLB_SIZE + (((<usize>(va >> 12) ^ <usize>(va >> 30)) & (CODE_VICTIMS - 1)) << 4);
}

/** Sets of four entries of the jump cache: u64 tag (cache.ts), u32 record, u32 generation. */
export const JUMP_SETS: u32 = 4096;
export const JUMP_SIZE: u32 = JUMP_SETS * 64;

/** Entry-point table: open addressing, u64 key (physical address * 2 + code64, plus 1 << 40 so that no key is 0), u32 record, u32 pad. */
export const HASH_ENTRY: u32 = 16;
/** Logarithm of its entries: it starts small and doubles, within the room that is there for the largest. */
export const MIN_HASH_BITS: u32 = 17;
export const MAX_HASH_BITS: u32 = 20;
const HASH_ROOM: u32 = HASH_ENTRY << MAX_HASH_BITS;

/** Entries of the victims of a data TLB, which are as its own. */
export const VICTIMS: u32 = 128;
export const VICTIMS_SIZE: u32 = VICTIMS * TLB_ENTRY;
/** Lists of slots, u16 each: those filled for low addresses (in both data TLBs, that for writes second), those filled for writing. */
export const LOW_LIST: u32 = 1024;
export const WRITE_LIST: u32 = 256;

// A context, what is remembered of one root's translations: its words, data TLB for reads and for writes, code TLB and its victims, jump cache, victims of both data
// TLBs, lists.
export const CTX_CODE: u32 = L.CTX_TABLES + 2 * TLB_SIZE;
const CTX_JUMPS: u32 = CTX_CODE + XTLB_SIZE + CODE_VICTIMS_SIZE;
export const CTX_VICTIMS: u32 = CTX_JUMPS + JUMP_SIZE;
export const CTX_LOW_LIST: u32 = CTX_VICTIMS + 2 * VICTIMS_SIZE;
export const CTX_WRITE_LIST: u32 = CTX_LOW_LIST + LOW_LIST * 2;
export const CONTEXT_SIZE: u32 = CTX_WRITE_LIST + WRITE_LIST * 2;
/** Contexts of each mode, kernel and user. */
export const CONTEXTS: u32 = 4;

const CONTEXT_OFFSET: u32 = L.CPU_STATE_SIZE;
const HASH_OFFSET: u32 = CONTEXT_OFFSET + 2 * CONTEXTS * CONTEXT_SIZE;
const FRAME_TRACES_OFFSET: u32 = HASH_OFFSET + HASH_ROOM;

/** Bytes of a vCPU's area; the same number as VCPU_AREA_SIZE in machine_memory.ts. */
const AREA_SIZE: u32 = 0x08000000;

/** Entries of the return stack (cache.ts), which are as the jump cache's: for the addresses in 2 KiB of the guest's stack. */
export const RETURNS: u32 = 256;

/** Bytes of the scratch area where single instructions are decoded to be executed once. */
const SCRATCH_SIZE: u32 = 1024;

export let hashTable: usize = 0;
/** Per frame: u32 first trace of the frame (0: none). */
export let frameTraces: usize = 0;
/** Per frame: u64, bit n: bytes n * 64 .. n * 64 + 63 hold decoded code. */
export let frameLines: usize = 0;
/** Per frame: u32, grows whenever code of the frame is dropped. */
export let frameVersions: usize = 0;
export let scratch: usize = 0;
export let returns: usize = 0;
/** Records of translated regions: REGION_ARENA bytes at the end of the area. */
const REGION_ARENA: u32 = 0x02000000;
export let regionArena: usize = 0;
export let arenaStart: usize = 0;
export let arenaEnd: usize = 0;

/** Tables of the mode in use (kernel or user); see setMode(). */
export let tlbRead: usize = 0;
export let tlbWrite: usize = 0;
export let xtlb: usize = 0;
export let jumpCache: usize = 0;

/** Entries of the jump cache, and whoever else remembers what a lookup found, are of this generation or void. */
export let jumpGeneration: u32 = 0;

/** The contexts in use. */
let kernelContext: usize = 0;
let userContext: usize = 0;

/** Context `n` of a mode. */
export function contextAt(kernel: u32, n: u32): usize {
  return cpu + CONTEXT_OFFSET + (kernel * CONTEXTS + n) * CONTEXT_SIZE;
}

/** The context in use for a mode. */
@inline
export function contextOf(kernel: u32): usize {
  return kernel ? kernelContext : userContext;
}

export function useContext(kernel: u32, context: usize): void {
  if (kernel) kernelContext = context;
  else userContext = context;
  setMode(load<u32>(cpu + L.CPU_KERNEL_MODE));
}

export function setMode(kernel: u32): void {
  store<u32>(cpu + L.CPU_KERNEL_MODE, kernel);
  const context = contextOf(kernel);
  tlbRead = context + L.CTX_TABLES;
  tlbWrite = tlbRead + TLB_SIZE;
  xtlb = context + CTX_CODE;
  jumpCache = context + CTX_JUMPS;
  store<u32>(cpu + L.CPU_TLB_READ, <u32>tlbRead);
  store<u32>(cpu + L.CPU_TLB_WRITE, <u32>tlbWrite);
  setGeneration(load<u32>(context, L.CTX_GENERATION));
}

function setGeneration(generation: u32): void {
  jumpGeneration = generation;
  store<u32>(cpu + L.CPU_JUMP_GENERATION, generation);
}

let lastGeneration: u32 = 0;

/** Voids the jump cache of a context. */
export function renewGeneration(context: usize): void {
  lastGeneration += 1;
  store<u32>(context, lastGeneration, L.CTX_GENERATION);
  if (context == contextOf(load<u32>(cpu + L.CPU_KERNEL_MODE))) setGeneration(lastGeneration);
}

/** Sets the addresses; the memory is zero but for what the host has put into the state block. */
export function initialiseState(state: usize, frames: usize, count: u32, attributeBytes: usize): void {
  cpu = state;
  frameBase = frames;
  frameCount = count;
  attributes = attributeBytes;
  hashTable = cpu + HASH_OFFSET;
  frameTraces = cpu + FRAME_TRACES_OFFSET;
  frameLines = (frameTraces + <usize>count * 4 + 7) & ~7;
  frameVersions = frameLines + <usize>count * 8;
  scratch = (frameVersions + <usize>count * 4 + 63) & ~63;
  returns = scratch + SCRATCH_SIZE;
  arenaStart = returns + RETURNS * 16;
  regionArena = cpu + AREA_SIZE - REGION_ARENA;
  arenaEnd = regionArena;
  userContext = contextAt(0, 0);
  useContext(1, contextAt(1, 0));
}

/** Adds one to a counter, a CNT_* offset. */
@inline
export function count(counter: u32): void {
  store<u64>(cpu + counter, load<u64>(cpu + counter) + 1);
}

// ---- leaving the main loop -------------------------------------------------------------------------------------------

/** What run() will return once the current instruction has given up. */
export let exitReason: i32 = 0;
export function setExit(reason: i32): void {
  exitReason = reason;
}

/** Set with a #GP that is due to a non-canonical address: becomes #SS when the operand is relative to the stack. */
export let nonCanonical: bool = false;
export function clearNonCanonical(): void {
  nonCanonical = false;
}

/** Records an exception for the main loop to leave with. Returns 1. */
export function raise(vector: u32, error: u32): i32 {
  store<u32>(cpu + L.CPU_EXC_VECTOR, vector);
  store<u32>(cpu + L.CPU_EXC_ERROR, error);
  count(L.CNT_EXCEPTIONS + (vector & 31) * 8);
  exitReason = L.EXIT_EXCEPTION;
  return 1;
}

export function raiseNonCanonical(): void {
  raise(13, 0);
  nonCanonical = true;
}

export function raisePageFault(va: u64, error: u32): void {
  store<u64>(cpu + L.CPU_CR2, va);
  raise(14, error);
}
