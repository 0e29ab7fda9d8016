// The stack, and RFLAGS as they are pushed and popped.

import * as L from "../layout";
import { cpu } from "../state";
import { ea, writePtr, writeEnd, FAULT } from "../mem";
import { NEXT, FAULTED } from "../execute";
import { setFlags, statusFlags } from "../flags";
import { fault, isMemory, isCode64, setRegister, getRegister, readMemory, writeMemory, rm } from "./operands";

const DF: u32 = 0x400;
const IF: u32 = 0x200;
const TF: u32 = 0x100;
/** What POPF may change at CPL 3 with IOPL 0, besides the status flags: TF DF NT AC ID. */
const POPF_MASK: u32 = TF | DF | 0x4000 | 0x40000 | 0x200000;

/** Linear address of a stack offset. */
@inline
export function stackAddress(sp: u64): u64 {
  return isCode64() ? sp : (sp + load<u64>(cpu + L.SLOT_SS_BASE)) & 0xffffffff;
}

@inline
export function stackPointer(): u64 {
  return isCode64() ? load<u64>(cpu + 32) : <u64>load<u32>(cpu + 32);
}

@inline
export function setStackPointer(sp: u64): void {
  store<u64>(cpu + 32, isCode64() ? sp : sp & 0xffffffff);
}

/** True when done; false with an exception raised and nothing changed. */
export function push(value: u64, size: u32): bool {
  const sp = stackPointer() - size;
  if (!writeMemory(stackAddress(sp), size, value)) return false;
  setStackPointer(sp);
  return true;
}

/** The value `offset` bytes above the stack pointer. Check `fault`. */
export function peek(offset: u32, size: u32): u64 {
  return readMemory(stackAddress(stackPointer() + offset), size);
}

export function executePop(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const value = peek(0, size);
  if (fault) return FAULTED;
  if (isMemory(rec)) {
    if (!writeMemory(ea(rec), size, value)) return FAULTED;
    setStackPointer(stackPointer() + size);
    return NEXT;
  }
  setStackPointer(stackPointer() + size);
  setRegister(rm(rec), size, value);
  return NEXT;
}

export function executeEnter(rec: usize): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const imm = load<u32>(rec, L.REC_IMM);
  const level = (imm >> 16) & 31;
  const allocation = imm & 0xffff;
  let sp = stackPointer() - size;
  if (!writeMemory(stackAddress(sp), size, getRegister(40, size))) return FAULTED;
  const frame = sp;
  let bp = isCode64() ? load<u64>(cpu + 40) : <u64>load<u32>(cpu + 40);
  for (let n: u32 = 1; n < level; ++n) {
    bp -= size;
    sp -= size;
    const value = readMemory(stackAddress(bp), size);
    if (fault || !writeMemory(stackAddress(sp), size, value)) return FAULTED;
  }
  if (level) {
    sp -= size;
    if (!writeMemory(stackAddress(sp), size, frame)) return FAULTED;
  }
  sp -= allocation;
  // The new top must be writable.
  if (writePtr(stackAddress(sp), size) == FAULT || !writeEnd()) return FAULTED;
  setRegister(40, size, frame);
  setStackPointer(sp);
  return NEXT;
}

export function executePushAll(size: u32): i32 {
  const original = getRegister(32, size);
  const sp = stackPointer();
  for (let n: u32 = 0; n < 8; ++n) {
    if (!writeMemory(stackAddress(sp - (n + 1) * size), size, n == 4 ? original : getRegister(n * 8, size))) return FAULTED;
  }
  setStackPointer(sp - 8 * size);
  return NEXT;
}

export function executePopAll(size: u32): i32 {
  const sp = stackPointer();
  for (let n: u32 = 0; n < 8; ++n) {
    readMemory(stackAddress(sp + n * size), size);
    if (fault) return FAULTED;
  }
  for (let n: u32 = 0; n < 8; ++n) {
    if (n == 3) continue;
    setRegister((7 - n) * 8, size, readMemory(stackAddress(sp + n * size), size));
  }
  setStackPointer(sp + 8 * size);
  return NEXT;
}

/** RFLAGS as PUSHF stores them. IF reads as set: interrupts are never off for a guest at CPL 3. */
export function flagsImage(): u64 {
  return <u64>((load<u32>(cpu + L.CPU_RFLAGS) & ~0x8d5) | statusFlags() | 2 | IF);
}

/** POPF and IRET at CPL 3. */
export function setFlagsImage(value: u64, size: u32): void {
  const allowed = size == 2 ? POPF_MASK & 0xffff : POPF_MASK;
  store<u32>(cpu + L.CPU_RFLAGS, (load<u32>(cpu + L.CPU_RFLAGS) & ~allowed) | (<u32>value & allowed));
  setFlags(<u32>value);
}
