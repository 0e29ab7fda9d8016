// Operands of integer instructions: registers by slot, memory, ModRM.rm.

import * as L from "../layout";
import { cpu } from "../state";
import { ea, readPtr, writePtr, writeEnd, FAULT } from "../mem";

/** Set by the operand readers when an exception was raised. */
export let fault: bool = false;

@inline
export function isMemory(rec: usize): bool {
  return (load<u8>(rec, L.REC_FLAGS) & L.RF_MEM) != 0;
}

@inline
export function isCode64(): bool {
  return load<u32>(cpu + L.CPU_CODE64) != 0;
}

export function loadSized(at: usize, size: u32): u64 {
  switch (size) {
    case 1: return load<u8>(at);
    case 2: return load<u16>(at);
    case 4: return load<u32>(at);
    default: return load<u64>(at);
  }
}

export function storeSized(at: usize, size: u32, value: u64): void {
  switch (size) {
    case 1: store<u8>(at, <u8>value); break;
    case 2: store<u16>(at, <u16>value); break;
    case 4: store<u32>(at, <u32>value); break;
    default: store<u64>(at, value);
  }
}

/** A register by slot; a 32-bit write clears the upper half. */
export function setRegister(slot: u32, size: u32, value: u64): void {
  if (size == 4) store<u64>(cpu + slot, value & 0xffffffff);
  else storeSized(cpu + slot, size, value);
}

@inline
export function getRegister(slot: u32, size: u32): u64 {
  return loadSized(cpu + slot, size);
}

export function readMemory(va: u64, size: u32): u64 {
  const at = readPtr(va, size);
  fault = at == FAULT;
  return fault ? 0 : loadSized(at, size);
}

/** True when the store stands. */
export function writeMemory(va: u64, size: u32, value: u64): bool {
  const at = writePtr(va, size);
  if (at == FAULT) return false;
  storeSized(at, size, value);
  return writeEnd();
}

/** The ModRM.rm operand. Check `fault`. */
export function readRm(rec: usize, size: u32): u64 {
  if (isMemory(rec)) return readMemory(ea(rec), size);
  fault = false;
  return getRegister(load<u8>(rec, L.REC_RM), size);
}

@inline
export function reg(rec: usize): u32 {
  return <u32>load<u8>(rec, L.REC_REG);
}
@inline
export function rm(rec: usize): u32 {
  return <u32>load<u8>(rec, L.REC_RM);
}

/** Stores to the ModRM.rm operand. True when it stands. */
export function writeRm(rec: usize, size: u32, value: u64): bool {
  if (isMemory(rec)) return writeMemory(ea(rec), size, value);
  setRegister(rm(rec), size, value);
  return true;
}

@inline
export function mask(size: u32): u64 {
  return size == 8 ? ~<u64>0 : (<u64>1 << (size << 3)) - 1;
}

@inline
export function signExtend(value: u64, size: u32): i64 {
  const shift = 64 - (<i64>size << 3);
  return <i64>(value << shift) >> shift;
}
