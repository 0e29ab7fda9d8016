// Everything the main loop does not do itself.

import * as L from "./layout";
import * as S from "./state";
import { cpu, raise } from "./state";
import { executeInteger } from "./integer";
import { executeSse } from "./sse";
import { executeMmx } from "./mmx";
import { executeX87 } from "./x87";
import { decodeOne } from "./trace";
import { isCanonical } from "./mmu";
import { undefinedInstruction } from "./host";
import {
  OP_EA, OP_EA32, OP_LINK, OP_REFETCH, OP_CROSS, OP_STEP_END, OP_INVALID, INTEGER_LAST, SSE_FIRST, SSE_LAST, MMX_FIRST, MMX_LAST, X87_FIRST, X87_LAST,
  OP_F_PUSH_R, OP_F_LEAVE, OP_F_CALL, OP_F_RET, OP_PUSH, OP_PUSH_I, OP_POP, OP_PUSHF, OP_POPF, OP_CALL, OP_CALL_E, OP_RET, OP_RET_I, OP_RETF, OP_RETF_I, OP_IRET,
  OP_LEAVE, OP_ENTER, OP_F_CALL_R, OP_F_CALL_M, OP_PUSH_SEG, OP_POP_SEG, OP_F_PUSH_M, OP_BT, OP_BTS, OP_BTR, OP_BTC,
  OP_MOVS, OP_CMPS, OP_LODS, OP_XLAT, OP_MOV_A_O, OP_MOV_O_A, OP_MASKMOVDQU, OP_MMX_MASKMOVQ,
} from "./generated/ops";

/** What an instruction did. */
/** Retired; the next record follows. */
export const NEXT: i32 = 0;
/** Raised an exception (or another exit) at itself. */
export const FAULTED: i32 = 1;
/** Retired, and leaves the loop: CPU_RIP and exitReason are set. */
export const LEAVE: i32 = 2;
/** Retired; control goes to CPU_RIP. */
export const JUMP: i32 = 3;
/** Did a part (REP): to be executed again. */
export const AGAIN: i32 = 4;
/** The records to execute instead are in the scratch area. */
export const MOVED: i32 = 5;

/** Runs the record's instruction. */
export function execute(rec: usize): i32 {
  const op: i32 = load<u16>(rec);
  if (op <= INTEGER_LAST) {
    switch (op) {
      case OP_EA: {
        store<u64>(cpu + L.SLOT_EA, offsetOf(rec) + load<u64>(cpu + load<u8>(rec, L.REC_SEG)));
        return NEXT;
      }
      case OP_EA32: {
        store<u64>(cpu + L.SLOT_EA, (offsetOf(rec) + load<u64>(cpu + load<u8>(rec, L.REC_SEG))) & 0xffffffff);
        return NEXT;
      }
      case OP_LINK: {
        store<u64>(cpu + L.CPU_RIP, load<u64>(cpu + L.SLOT_PAGE) + load<u64>(rec, L.REC_IMM));
        return JUMP;
      }
      case OP_REFETCH: {
        store<u64>(cpu + L.CPU_RIP, load<u64>(cpu + L.SLOT_PAGE) + <u64>load<u16>(rec, L.REC_OFF));
        return JUMP;
      }
      case OP_CROSS: {
        const rip = codeAddress(load<u64>(cpu + L.SLOT_PAGE) + <u64>load<u16>(rec, L.REC_OFF));
        return decodeOne(rip, OP_LINK) ? MOVED : FAULTED;
      }
      case OP_STEP_END: {
        S.setExit(L.EXIT_BUDGET);
        store<u64>(cpu + L.CPU_RIP, codeAddress(load<u64>(cpu + L.SLOT_PAGE) + load<u64>(rec, L.REC_IMM)));
        return LEAVE;
      }
      case OP_INVALID: {
        const rip = load<u64>(cpu + L.SLOT_PAGE) + <u64>load<u16>(rec, L.REC_OFF);
        if (load<u8>(rec, L.REC_CC) == 13) return raise(13, 0);
        reportUndefined(rip);
        return raise(6, 0);
      }
    }
    return executeInteger(rec, op);
  }
  if (op <= SSE_LAST) return executeSse(rec, op);
  if (op <= MMX_LAST) return executeMmx(rec, op);
  return executeX87(rec, op);
}

@inline
export function codeAddress(va: u64): u64 {
  return load<u32>(cpu + L.CPU_CODE64) ? va : va & 0xffffffff;
}

/** Address before segmentation, truncated to the address size of an EA record. */
function offsetOf(rec: usize): u64 {
  const offset = load<u64>(cpu + load<u8>(rec, L.REC_BASE)) + (load<u64>(cpu + load<u8>(rec, L.REC_INDEX)) << load<u8>(rec, L.REC_SCALE)) + <u64>load<i32>(rec, L.REC_DISP);
  return load<u8>(rec, L.REC_OPSIZE) == 2 ? offset & 0xffff : offset & 0xffffffff;
}

function reportUndefined(rip: u64): void {
  const bytes = S.scratch + 512;
  const slotPage = rip & 0xfff;
  const length: u32 = slotPage > 4096 - 15 ? 4096 - <u32>slotPage : 15;
  const host = S.frameBase + (<usize>load<u32>(S.codeSlot(S.xtlb, rip), 8) << 12) + <usize>slotPage;
  memory.copy(bytes, host, length);
  undefinedInstruction(<f64><i64>rip, <u32>bytes, length);
}

function isBitTest(op: i32): bool {
  return op == OP_BT || op == OP_BTS || op == OP_BTR || op == OP_BTC;
}

/** Of the record's memory operand, before the base of a segment is added: what a 64-bit address size makes of it, else 0. */
function segmentOffset(rec: usize): u64 {
  if (load<u8>(rec, L.REC_FLAGS) & L.RF_MEM)
    return load<u64>(cpu + load<u8>(rec, L.REC_BASE)) + (load<u64>(cpu + load<u8>(rec, L.REC_INDEX)) << load<u8>(rec, L.REC_SCALE)) + <u64>load<i32>(rec, L.REC_DISP);
  if (!load<u32>(cpu + L.CPU_CODE64) || load<u8>(rec, L.REC_FLAGS) & L.RF_ADDR32) return 0;
  switch (<i32>load<u16>(rec)) {
    case OP_MOVS: case OP_CMPS: case OP_LODS: return load<u64>(cpu + 48);
    case OP_MASKMOVDQU: case OP_MMX_MASKMOVQ: return load<u64>(cpu + 56);
    case OP_XLAT: return load<u64>(cpu + 24) + <u64>load<u8>(cpu);
    case OP_MOV_A_O: case OP_MOV_O_A: return load<u64>(rec, L.REC_IMM);
    default: return 0;
  }
}

/** A #PF is #GP where the offset is not canonical before the base of FS or GS makes the sum so. */
export function refinePageFault(rec: usize): void {
  if (load<u32>(cpu + L.CPU_EXC_VECTOR) != 14 || load<u8>(rec, L.REC_SEG) == <u8>L.SLOT_ZERO) return;
  // What goes to the operand is read from the stack before it.
  if (load<u16>(rec) == <u16>OP_POP && load<u64>(cpu + L.CPU_CR2) - load<u64>(cpu + 32) < 8) return;
  if (!isCanonical(segmentOffset(rec))) raise(13, 0);
}

/** A #GP for a non-canonical address is #SS when the access is relative to the stack. */
export function refineNonCanonical(rec: usize): void {
  S.clearNonCanonical();
  const op: i32 = load<u16>(rec);
  let stack = false;
  switch (op) {
    case OP_PUSH: case OP_PUSH_I: case OP_POP: case OP_PUSHF: case OP_POPF: case OP_CALL: case OP_CALL_E: case OP_RET: case OP_RET_I: case OP_RETF: case OP_RETF_I:
    case OP_IRET: case OP_LEAVE: case OP_ENTER: case OP_PUSH_SEG: case OP_POP_SEG:
      stack = true;
      break;
    default:
      stack = (op >= OP_F_PUSH_R && op <= OP_F_LEAVE) || op == OP_F_CALL || op == OP_F_RET || op == OP_F_CALL_R || op == OP_F_CALL_M;
  }
  if (load<u8>(rec, L.REC_FLAGS) & L.RF_MEM) {
    const base = load<u8>(rec, L.REC_BASE);
    const own = (base == 32 || base == 40) && load<u8>(rec, L.REC_SEG) == <u8>L.SLOT_ZERO;
    const address = load<u64>(cpu + base) + (load<u64>(cpu + load<u8>(rec, L.REC_INDEX)) << load<u8>(rec, L.REC_SCALE)) + load<u64>(cpu + load<u8>(rec, L.REC_SEG)) + <u64>load<i32>(rec, L.REC_DISP);
    const last = address + 15;
    // An operand that is not canonical itself, or is reached by a bit offset, decides, unless what goes there was to be read from the stack before; else it was the stack.
    if (!isCanonical(address) || !isCanonical(last) || isBitTest(op)) stack = own || (op == OP_POP && !isCanonical(load<u64>(cpu + 32)));
  }
  if (stack) raise(12, 0);
}
