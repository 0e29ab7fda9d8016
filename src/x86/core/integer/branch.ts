// Near branches.

import * as L from "../layout";
import { cpu, raise } from "../state";
import { NEXT, FAULTED, JUMP, codeAddress } from "../execute";
import { statusFlags, ZF } from "../flags";
import { fault, isCode64, setRegister, getRegister, mask } from "./operands";
import { stackPointer, setStackPointer, push, peek } from "./stack";
import { OP_LOOP, OP_LOOPE } from "../generated/ops";

/** Linear address of the next instruction. */
@inline
export function nextAddress(rec: usize): u64 {
  return codeAddress(load<u64>(cpu + L.SLOT_PAGE) + <u64>load<u16>(rec, L.REC_OFF) + <u64>load<u8>(rec, L.REC_LEN));
}

export function jumpTo(rec: usize, target: u64): i32 {
  if (load<u8>(rec, L.REC_OPSIZE) == 2) target &= 0xffff;
  else if (!isCode64()) target &= 0xffffffff;
  store<u64>(cpu + L.CPU_RIP, target);
  return JUMP;
}

/** A near branch to a non-canonical address faults at the branch, before anything changes. */
@inline
export function refuseTarget(target: u64): bool {
  if (<u64>(<i64>(target << 16) >> 16) == target || !isCode64()) return false;
  raise(13, 0);
  return true;
}

@inline
export function relativeTarget(rec: usize): u64 {
  return load<u64>(cpu + L.SLOT_PAGE) + load<u64>(rec, L.REC_IMM);
}

/** RCX by address size; JCXZ and LOOP. */
@inline
export function counterSize(rec: usize): u32 {
  return isCode64() ? (load<u8>(rec, L.REC_FLAGS) & L.RF_ADDR32 ? 4 : 8) : load<u8>(rec, L.REC_FLAGS) & L.RF_ADDR32 ? 2 : 4;
}

export function executeLoop(rec: usize, op: i32): i32 {
  const size = counterSize(rec);
  const count = (getRegister(8, size) - 1) & mask(size);
  setRegister(8, size, count);
  const zero = (statusFlags() & ZF) != 0;
  const taken = count != 0 && (op == OP_LOOP || (op == OP_LOOPE ? zero : !zero));
  return taken ? jumpTo(rec, relativeTarget(rec)) : NEXT;
}

export function executeCall(rec: usize, target: u64): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (refuseTarget(target) || !push(nextAddress(rec), size)) return FAULTED;
  return jumpTo(rec, target);
}

export function executeReturn(rec: usize, release: u32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const target = peek(0, size);
  if (fault || refuseTarget(target)) return FAULTED;
  setStackPointer(stackPointer() + size + release);
  return jumpTo(rec, target);
}
