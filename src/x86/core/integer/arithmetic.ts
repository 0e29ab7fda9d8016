// ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT.

import * as L from "../layout";
import { ea } from "../mem";
import { NEXT, FAULTED } from "../execute";
import { carry, CC_ADD, CC_SUB, CF, AF, OF } from "../flags";
import { fault, isMemory, loadSized, setRegister, getRegister, readRm, reg, mask } from "./operands";
import { rmwAt, beginRmw, tryStore, endRmw, isLocked, applyFlags, flagsOf, resultFlags } from "./read_modify_write";
import { OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_SUB, OP_XOR, OP_CMP, OP_TEST, OP_INC, OP_DEC, OP_NEG, OP_NOT } from "../generated/ops";

function arithmetic(op: i32, size: u32, x: u64, y: u64): u64 {
  switch (op) {
    case OP_ADD: flagsOf(CC_ADD, size, x, y); return x + y;
    case OP_SUB:
    case OP_CMP: flagsOf(CC_SUB, size, x, y); return x - y;
    case OP_ADC: {
      const c = <u64>carry();
      const z = (x + y + c) & mask(size);
      const top = <u64>(size << 3) - 1;
      const out = z < (x & mask(size)) || (c && z == (x & mask(size)));
      resultFlags(size, z, (out ? CF : 0) | (<u32>((((x ^ z) & (y ^ z)) >> top) & 1) << 11) | (<u32>(x ^ y ^ z) & AF));
      return z;
    }
    case OP_SBB: {
      const c = <u64>carry();
      const m = mask(size);
      const z = (x - y - c) & m;
      const top = <u64>(size << 3) - 1;
      const out = (x & m) < (y & m) || (c && (x & m) == (y & m));
      resultFlags(size, z, (out ? CF : 0) | (<u32>((((x ^ y) & (x ^ z)) >> top) & 1) << 11) | (<u32>(x ^ y ^ z) & AF));
      return z;
    }
    case OP_OR: { const z = x | y; resultFlags(size, z, 0); return z; }
    case OP_XOR: { const z = x ^ y; resultFlags(size, z, 0); return z; }
    default: { const z = x & y; resultFlags(size, z, 0); return z; }
  }
}

/** ADD..XOR with its operand forms, by descriptor form kept in the opcode. */
export function executeArithmetic(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const opcode = load<u8>(rec, L.REC_OPCODE);
  const immediate = isImmediateForm(opcode, op);
  const toRegister = !immediate && op != OP_TEST && (opcode & 2) != 0;
  if (toRegister) {
    const y = readRm(rec, size);
    if (fault) return FAULTED;
    const z = arithmetic(op, size, getRegister(reg(rec), size), y);
    if (op != OP_CMP) setRegister(reg(rec), size, z);
    applyFlags();
    return NEXT;
  }
  const y = immediate ? load<u64>(rec, L.REC_IMM) & mask(size) : getRegister(reg(rec), size);
  if (op == OP_CMP || op == OP_TEST) {
    const x = readRm(rec, size);
    if (fault) return FAULTED;
    arithmetic(op, size, x, y);
    applyFlags();
    return NEXT;
  }
  if (!beginRmw(rec, size, isLocked(rec), isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  while (true) {
    const x = loadSized(rmwAt, size);
    if (tryStore(size, x, arithmetic(op, size, x, y))) break;
  }
  if (!endRmw()) return FAULTED;
  applyFlags();
  return NEXT;
}

@inline
function isImmediateForm(opcode: u32, op: i32): bool {
  if (opcode >= 0x80) return op == OP_TEST ? opcode != 0x84 && opcode != 0x85 : true;
  return (opcode & 7) >= 4;
}

export function executeUnary(rec: usize, op: i32): i32 {
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  if (!beginRmw(rec, size, isLocked(rec), isMemory(rec) ? ea(rec) : 0)) return FAULTED;
  const m = mask(size);
  const top = <u64>1 << ((<u64>size << 3) - 1);
  while (true) {
    const x = loadSized(rmwAt, size);
    let z: u64;
    switch (op) {
      case OP_INC: {
        z = (x + 1) & m;
        resultFlags(size, z, carry() | (z == top ? OF : 0) | ((z & 15) == 0 ? AF : 0));
        break;
      }
      case OP_DEC: {
        z = (x - 1) & m;
        resultFlags(size, z, carry() | (x == top ? OF : 0) | ((x & 15) == 0 ? AF : 0));
        break;
      }
      case OP_NEG: {
        z = (0 - x) & m;
        flagsOf(CC_SUB, size, 0, x);
        break;
      }
      default: z = ~x & m;
    }
    if (tryStore(size, x, z)) break;
  }
  if (!endRmw()) return FAULTED;
  if (op != OP_NOT) applyFlags();
  return NEXT;
}
