// Switches between a paravirtual guest's user and kernel mode that never leave run(): system calls, exceptions, returns, and the kernel's cheapest services.
//
// Rules:
// - The host says in the SWITCH_* fields where the kernel is entered and how; what it has not set is its own to do. It does whatever is declined here, by its own,
//   complete code: so a switch is declined before anything changes, and both ways must leave the same state.
// - Declined: anything while SWITCH_HOLD or CPU_ATTENTION is set; compatibility code; frames that are not plainly mapped in one page; TF and AC; a return with events
//   that would be deliverable after it, or to selectors that need more than the GDT.
// - Both of the guest's modes run at CPL 3, in address spaces of their own. RFLAGS.IF is always set: the guest's is the event mask byte, and frames show it so.
// - Whatever may have set the pending byte since it was looked at has set CPU_ATTENTION too, so the host looks again soon.

import * as L from "./layout";
import * as S from "./state";
import { cpu, exitReason } from "./state";
import { framePointer, isCanonical } from "./mmu";
import { serveEntry, serveMapping } from "./table_updates";
import { setFlags, statusFlags, STATUS } from "./flags";
import { checkCode, loadDataSegment, loadCode, descriptorHigh, CS, SS } from "./segments";

/** Instructions of the budget that a ring switch uses up: code that only makes switches must leave the loop too. */
export const SWITCH_COST: i32 = 16;

const TF: u32 = 0x100;
const IF: u32 = 0x200;
const DF: u32 = 0x400;
const IOPL: u32 = 0x3000;
const NT: u32 = 0x4000;
const RF: u32 = 0x10000;
const VM: u32 = 0x20000;
const AC: u32 = 0x40000;
const CR0_TS: u32 = 8;
/** In the second word of a descriptor. */
const ACCESSED: u32 = 0x100;
const LONG: u32 = 0x200000;
/** Bits of RFLAGS that a return changes: all defined ones but VM, IOPL and IF. */
const RETURN_FLAGS: u32 = 0x274dd5 & ~(IF | VM | IOPL);
/** Exceptions that push an error code. */
const HAS_ERROR: u32 = 0x00227d00;
const PAGE_FAULT: u32 = 14;
const PF_USER: u32 = 4;
/** In a return frame's flags. */
const AS_SYSRET: u32 = 0x100;

// General registers.
const RAX = L.CPU_GPR;
const RCX = L.CPU_GPR + 8;
const RDX = L.CPU_GPR + 16;
const RSP = L.CPU_GPR + 32;
const RSI = L.CPU_GPR + 48;
const RDI = L.CPU_GPR + 56;
const R10 = L.CPU_GPR + 80;
const R11 = L.CPU_GPR + 88;

// A return frame.
const FRAME_RAX = 0;
const FRAME_R11 = 8;
const FRAME_RCX = 16;
const FRAME_FLAGS = 24;
const FRAME_RIP = 32;
const FRAME_CS = 40;
const FRAME_RFLAGS = 48;
const FRAME_RSP = 56;
const FRAME_SS = 64;
const FRAME_SIZE = 72;

/** Does what run() is about to leave for (exitReason), if it can. True: go on at CPU_RIP. False: nothing has changed. */
export function switchRings(): bool {
  if (load<u32>(cpu + L.SWITCH_HOLD) || atomic.load<u32>(cpu + L.CPU_ATTENTION) || !load<u32>(cpu + L.CPU_CODE64)) return false;
  if (exitReason == L.EXIT_SYSCALL) return load<u32>(cpu + L.CPU_KERNEL_MODE) ? serve() : systemCall();
  return exitReason == L.EXIT_EXCEPTION && deliver();
}

@inline
function rflags(): u32 {
  return (load<u32>(cpu + L.CPU_RFLAGS) & ~STATUS) | statusFlags() | 0x202;
}

@inline
function selector(register: u32): u64 {
  return <u64>load<u16>(cpu + L.CPU_SELECTORS + register * 2);
}

@inline
function setFlat(register: u32, selector: u16, base: u32): void {
  store<u16>(cpu + L.CPU_SELECTORS + register * 2, selector);
  store<u64>(cpu + base, 0);
}

/** The other mode's page tables, TLB and GS base. */
function toggleMode(): void {
  const gs = load<u64>(cpu + L.SLOT_GS_BASE);
  store<u64>(cpu + L.SLOT_GS_BASE, load<u64>(cpu + L.CPU_KERNEL_GS_BASE));
  store<u64>(cpu + L.CPU_KERNEL_GS_BASE, gs);
  S.setMode(load<u32>(cpu + L.CPU_KERNEL_MODE) ^ 1);
}

@inline
function isHole(va: u64): bool {
  return <i64>va >= <i64>load<u64>(cpu + L.SWITCH_HOLE_START) && <i64>va < <i64>load<u64>(cpu + L.SWITCH_HOLE_END);
}

/** Host address of `size` bytes of the current address space for a frame that starts at `va`, or 0. */
function frameAt(va: u64, size: u32, write: u32): usize {
  if ((<u32>va & 0xfff) > 4096 - size || isHole(va)) return 0;
  return framePointer(va, write);
}

// ---- into the kernel ---------------------------------------------------------------------------------------------------

function systemCall(): bool {
  const entry = load<u64>(cpu + L.SWITCH_SYSCALL_ENTRY);
  const flags = rflags();
  if (!entry || flags & AC) return false;
  const rip = load<u64>(cpu + L.CPU_RIP);
  const top = load<u64>(cpu + L.SWITCH_KERNEL_SP) & ~<u64>15;
  toggleMode();
  const at = frameAt(top - 56, 56, 1);
  if (!at) {
    toggleMode();
    return false;
  }
  const mask = <usize>load<u32>(cpu + L.SWITCH_EVENT_MASK);
  const masked = load<u8>(mask);
  if (load<u32>(cpu + L.SWITCH_SYSCALL_MASKS)) store<u8>(mask, 1);
  // What the instruction leaves behind; it saves no selectors.
  store<u64>(cpu + RCX, rip);
  store<u64>(cpu + R11, <u64>flags);
  store<u64>(at, rip);
  store<u64>(at, <u64>flags, 8);
  const ss = <u64>load<u16>(cpu + L.SWITCH_USER_SS);
  enterKernel(at + 16, rip, <u64>load<u16>(cpu + L.SWITCH_USER_CS), masked, flags, ss, top - 56, entry);
  store<u32>(cpu + L.CPU_RFLAGS, load<u32>(cpu + L.CPU_RFLAGS) & ~DF);
  return true;
}

function deliver(): bool {
  const vector = load<u32>(cpu + L.CPU_EXC_VECTOR);
  if (vector > 31) return false;
  const entry = load<u64>(cpu + L.SWITCH_GATES + (<usize>vector << 3));
  const flags = rflags();
  if (!entry || flags & AC) return false;
  const fromKernel = load<u32>(cpu + L.CPU_KERNEL_MODE) != 0;
  const hasError = ((HAS_ERROR >> vector) & 1) != 0;
  const size: u32 = hasError ? 64 : 56;
  const top = load<u64>(cpu + (fromKernel ? RSP : L.SWITCH_KERNEL_SP)) & ~<u64>15;
  if (!fromKernel) toggleMode();
  const base = frameAt(top - size, size, 1);
  if (!base) {
    if (!fromKernel) toggleMode();
    return false;
  }
  let at = base;
  let error = load<u32>(cpu + L.CPU_EXC_ERROR);
  if (vector == PAGE_FAULT) {
    store<u64>(load<u32>(cpu + L.SWITCH_FAULT_ADDRESS), load<u64>(cpu + L.CPU_CR2));
    error = fromKernel ? error & ~PF_USER : error | PF_USER;
  }
  const mask = <usize>load<u32>(cpu + L.SWITCH_EVENT_MASK);
  const masked = load<u8>(mask);
  if ((load<u32>(cpu + L.SWITCH_GATE_MASKS) >> vector) & 1) store<u8>(mask, 1);
  store<u64>(at, load<u64>(cpu + RCX));
  store<u64>(at, load<u64>(cpu + R11), 8);
  if (hasError) {
    store<u64>(at, <u64>error, 16);
    at += 8;
  }
  const cs = fromKernel ? selector(CS) & ~<u64>3 : selector(CS);
  enterKernel(at + 16, load<u64>(cpu + L.CPU_RIP), cs, masked, flags, selector(SS), top - size, entry);
  return true;
}

/** Writes the rest of a frame (rip, cs with the saved event mask, rflags, rsp, ss), and goes to `entry` with the stack at `sp`. */
function enterKernel(at: usize, rip: u64, cs: u64, masked: u8, flags: u32, ss: u64, sp: u64, entry: u64): void {
  store<u64>(at, rip);
  store<u64>(at, cs | (<u64>masked << 32), 8);
  store<u64>(at, <u64>((flags & ~(IF | IOPL)) | (masked ? 0 : IF)), 16);
  store<u64>(at, load<u64>(cpu + RSP), 24);
  store<u64>(at, ss, 32);
  store<u32>(cpu + L.CPU_RFLAGS, flags & ~(AC | VM | RF | NT | TF));
  store<u64>(cpu + RSP, sp);
  store<u64>(cpu + L.CPU_RIP, entry);
  setFlat(CS, load<u16>(cpu + L.SWITCH_KERNEL_CS), L.SLOT_CS_BASE);
  setFlat(SS, load<u16>(cpu + L.SWITCH_KERNEL_SS), L.SLOT_SS_BASE);
}

// ---- the kernel's calls ------------------------------------------------------------------------------------------------

function serve(): bool {
  const number = load<u64>(cpu + RAX);
  if (number > 63) return false;
  switch (<u32>load<u8>(cpu + L.SWITCH_SERVICES + <usize>number)) {
    case L.SERVICE_RETURN: {
      if (!returnFromKernel()) return false;
      count(number);
      return true;
    }
    case L.SERVICE_STACK_SWITCH: {
      store<u32>(cpu + L.SWITCH_STACK_SELECTOR, (load<u32>(cpu + RDI) & 0xffff) | 3);
      store<u64>(cpu + L.SWITCH_KERNEL_SP, load<u64>(cpu + RSI));
      break;
    }
    case L.SERVICE_SEGMENT_BASE: {
      const which = load<u32>(cpu + RDI);
      const base = load<u64>(cpu + RSI);
      if (which > 2 || !isCanonical(base)) return false;
      store<u64>(cpu + (which == 0 ? L.SLOT_FS_BASE : which == 1 ? L.CPU_KERNEL_GS_BASE : L.SLOT_GS_BASE), base);
      break;
    }
    case L.SERVICE_TASK_SWITCHED: {
      const cr0 = load<u32>(cpu + L.CPU_CR0);
      store<u32>(cpu + L.CPU_CR0, load<u32>(cpu + RDI) ? cr0 | CR0_TS : cr0 & ~CR0_TS);
      break;
    }
    case L.SERVICE_UPDATE_ENTRY: {
      if (load<u32>(cpu + RSI) != 1 || load<u64>(cpu + RDX) || load<u32>(cpu + R10) != load<u32>(cpu + L.BOOKS_SELF)) return false;
      const request = frameAt(load<u64>(cpu + RDI), 16, 0);
      if (!request || !serveEntry(request)) return false;
      break;
    }
    case L.SERVICE_UPDATE_MAPPING: {
      const va = load<u64>(cpu + RDI);
      if (!isCanonical(va) || isHole(va) || !serveMapping(va, load<u64>(cpu + RSI), load<u64>(cpu + RDX))) return false;
      break;
    }
    default: return false;
  }
  count(number);
  store<u64>(cpu + RCX, load<u64>(cpu + L.CPU_RIP));
  store<u64>(cpu + R11, <u64>rflags());
  store<u64>(cpu + RAX, 0);
  return true;
}

function count(number: u64): void {
  atomic.add<u32>(<usize>load<u32>(cpu + L.SWITCH_COUNTS) + (<usize>number << 2), 1);
}

function returnFromKernel(): bool {
  const at = frameAt(load<u64>(cpu + RSP), FRAME_SIZE, 0);
  if (!at) return false;
  const flags = load<u32>(at, FRAME_RFLAGS);
  if ((flags | load<u32>(cpu + L.CPU_RFLAGS)) & (TF | AC)) return false;
  if (flags & IF && atomic.load<u8>(<usize>load<u32>(cpu + L.SWITCH_EVENT_PENDING))) return false;
  const toUser = (load<u32>(at, FRAME_CS) & 3) == 3;
  if (toUser && !load<u32>(cpu + L.CPU_CR3_USER)) return false;

  const userCs = <u32>load<u16>(cpu + L.SWITCH_USER_CS);
  const userSs = <u32>load<u16>(cpu + L.SWITCH_USER_SS);
  const cs = (load<u32>(at, FRAME_CS) & 0xffff) | 3;
  const ss = (load<u32>(at, FRAME_SS) & 0xffff) | 3;
  const sysret = (load<u32>(at, FRAME_FLAGS) & AS_SYSRET) != 0;
  if (sysret) {
    if (cs == <u32>load<u16>(cpu + L.SWITCH_USER_CS32)) return false;
    setFlat(CS, <u16>userCs, L.SLOT_CS_BASE);
    setFlat(SS, <u16>userSs, L.SLOT_SS_BASE);
  } else {
    if (cs != userCs && (cs & 4 || !checkCode(cs) || !(descriptorHigh & LONG))) return false;
    const isPlain = cs == userCs || (descriptorHigh & ACCESSED) != 0;
    if (ss != userSs && (ss & 4 || !loadDataSegment(SS, ss))) return false;
    if (isPlain) setFlat(CS, <u16>cs, L.SLOT_CS_BASE);
    else loadCode(cs);
    if (ss == userSs) setFlat(SS, <u16>ss, L.SLOT_SS_BASE);
  }
  if (toUser) toggleMode();
  const rip = load<u64>(at, FRAME_RIP);
  const image = (flags & RETURN_FLAGS) | IF | 2;
  store<u64>(cpu + L.CPU_RIP, rip);
  store<u32>(cpu + L.CPU_RFLAGS, image);
  setFlags(image);
  store<u64>(cpu + RSP, load<u64>(at, FRAME_RSP));
  store<u64>(cpu + RAX, load<u64>(at, FRAME_RAX));
  store<u64>(cpu + RCX, sysret ? rip : load<u64>(at, FRAME_RCX));
  store<u64>(cpu + R11, sysret ? <u64>image : load<u64>(at, FRAME_R11));
  store<u8>(<usize>load<u32>(cpu + L.SWITCH_EVENT_MASK), flags & IF ? 0 : 1);
  return true;
}
