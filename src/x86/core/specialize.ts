// Chooses the main loop's specialised operation for a decoded instruction; see src/x86/opcodes/fast.ts for their layout.

import * as L from "./layout";
import {
  OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP, OP_TEST, OP_MOV, OP_MOVZX_B, OP_MOVZX_W, OP_MOVSX_B, OP_MOVSX_W, OP_MOVSXD, OP_LEA,
  OP_INC, OP_DEC, OP_NEG, OP_NOT, OP_SHL, OP_SHR, OP_SAR, OP_ROL, OP_ROR, OP_SHL_1, OP_SHR_1, OP_SAR_1, OP_SHL_CL, OP_SHR_CL, OP_SAR_CL, OP_IMUL2, OP_IMUL3,
  OP_BT, OP_BT_I, OP_CBW, OP_CWD, OP_CMOVCC, OP_SETCC, OP_XCHG, OP_NOP, OP_PUSH, OP_PUSH_I, OP_POP, OP_LEAVE, OP_JMP, OP_CALL, OP_RET, OP_JMP_E, OP_CALL_E,
  OP_JCC, OP_PAUSE,
  OP_F_ADD_RR8, OP_F_OR_RR8, OP_F_AND_RR8, OP_F_SUB_RR8, OP_F_XOR_RR8, OP_F_CMP_RR8, OP_F_TEST_RR8, OP_F_MOV_RR8, OP_F_ADC_RR32, OP_F_SBB_RR32,
  OP_F_MOVZX_B_R32, OP_F_MOVZX_W_R32, OP_F_MOVSX_B_R32, OP_F_MOVSX_W_R32, OP_F_MOVSXD_R, OP_F_LEA32, OP_F_INC_R32, OP_F_DEC_R32, OP_F_NEG_R32, OP_F_NOT_R32,
  OP_F_SHL_I32, OP_F_SHR_I32, OP_F_SAR_I32, OP_F_ROL_I32, OP_F_ROR_I32, OP_F_SHL_C32, OP_F_SHR_C32, OP_F_SAR_C32, OP_F_IMUL_R32, OP_F_IMUL_M32,
  OP_F_IMUL3_R32, OP_F_IMUL_R64, OP_F_IMUL3_R64, OP_F_BT_I32, OP_F_BT_R32, OP_F_BT_R64, OP_F_CDQE, OP_F_CDQ, OP_F_CQO, OP_F_CMOV_R32, OP_F_SETCC_R,
  OP_F_XCHG_R64, OP_F_NOP, OP_F_PUSH_R, OP_F_PUSH_I, OP_F_PUSH_M, OP_F_POP_R, OP_F_LEAVE, OP_F_JMP, OP_F_CALL, OP_F_RET, OP_F_JMP_R, OP_F_JMP_M, OP_F_CALL_R,
  OP_F_CALL_M, OP_F_J0,
} from "./generated/ops";

const FORM_EG: u32 = 1;
const FORM_GE: u32 = 2;
const FORM_EI: u32 = 3;

const RR: i32 = 0;
const RI: i32 = 1;
const RM: i32 = 2;
const MR: i32 = 3;
const MI: i32 = 4;

@inline
function set(rec: usize, op: i32): void {
  store<u16>(rec, <u16>op, L.REC_OP);
}

/** RR..MI, with register-to-register forms turned so that REC_RM is the destination and REC_REG the source. */
function operandForm(rec: usize, form: u32, memory: bool): i32 {
  if (form == FORM_EI) return memory ? MI : RI;
  if (form == FORM_GE) {
    if (memory) return RM;
    const reg = load<u8>(rec, L.REC_REG);
    store<u8>(rec, load<u8>(rec, L.REC_RM), L.REC_REG);
    store<u8>(rec, reg, L.REC_RM);
    return RR;
  }
  return memory ? MR : RR;
}

function aluBase(op: i32): i32 {
  switch (op) {
    case OP_ADD: return OP_F_ADD_RR8;
    case OP_OR: return OP_F_OR_RR8;
    case OP_AND: return OP_F_AND_RR8;
    case OP_SUB: return OP_F_SUB_RR8;
    case OP_XOR: return OP_F_XOR_RR8;
    case OP_CMP: return OP_F_CMP_RR8;
    case OP_TEST: return OP_F_TEST_RR8;
    case OP_MOV: return OP_F_MOV_RR8;
    default: return 0;
  }
}

/** `form` is the descriptor's. Leaves the general operation where there is no special one. */
export function specialize(rec: usize, op: i32, form: u32, code64: bool): void {
  const flags = <u32>load<u8>(rec, L.REC_FLAGS);
  if (flags & L.RF_LOCK) return;
  const memory = (flags & L.RF_MEM) != 0;
  const size = <u32>load<u8>(rec, L.REC_OPSIZE);
  const wide: i32 = size == 8 ? 1 : 0;
  const word = size >= 4;
  const logSize: i32 = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;

  const alu = aluBase(op);
  if (alu) {
    if (!form) return;
    set(rec, alu + logSize * 5 + operandForm(rec, form, memory));
    return;
  }
  switch (op) {
    case OP_ADC:
    case OP_SBB: {
      if (!word || (memory && form != FORM_GE)) return;
      set(rec, (op == OP_ADC ? OP_F_ADC_RR32 : OP_F_SBB_RR32) + wide * 3 + operandForm(rec, form, memory));
      return;
    }
    case OP_MOVZX_B: if (word) set(rec, OP_F_MOVZX_B_R32 + wide * 2 + <i32>memory); return;
    case OP_MOVZX_W: if (word) set(rec, OP_F_MOVZX_W_R32 + wide * 2 + <i32>memory); return;
    case OP_MOVSX_B: if (word) set(rec, OP_F_MOVSX_B_R32 + wide * 2 + <i32>memory); return;
    case OP_MOVSX_W: if (word) set(rec, OP_F_MOVSX_W_R32 + wide * 2 + <i32>memory); return;
    case OP_MOVSXD: if (wide) set(rec, OP_F_MOVSXD_R + <i32>memory); return;
    case OP_LEA: if (word) set(rec, OP_F_LEA32 + wide); return;
    case OP_INC: if (word) set(rec, OP_F_INC_R32 + wide * 2 + <i32>memory); return;
    case OP_DEC: if (word) set(rec, OP_F_DEC_R32 + wide * 2 + <i32>memory); return;
    case OP_NEG: if (word) set(rec, OP_F_NEG_R32 + wide * 2 + <i32>memory); return;
    case OP_NOT: if (word) set(rec, OP_F_NOT_R32 + wide * 2 + <i32>memory); return;
    case OP_SHL:
    case OP_SHR:
    case OP_SAR:
    case OP_ROL:
    case OP_ROR:
    case OP_SHL_1:
    case OP_SHR_1:
    case OP_SAR_1: {
      if (!word || memory) return;
      const by1 = op == OP_SHL_1 || op == OP_SHR_1 || op == OP_SAR_1;
      const count: i64 = by1 ? 1 : load<i64>(rec, L.REC_IMM) & (wide ? 63 : 31);
      if (!count) return;
      store<i64>(rec, count, L.REC_IMM);
      set(rec, (op == OP_SHL || op == OP_SHL_1 ? OP_F_SHL_I32 : op == OP_SHR || op == OP_SHR_1 ? OP_F_SHR_I32 : op == OP_SAR || op == OP_SAR_1 ? OP_F_SAR_I32
        : op == OP_ROL ? OP_F_ROL_I32 : OP_F_ROR_I32) + wide);
      return;
    }
    case OP_SHL_CL: if (word && !memory) set(rec, OP_F_SHL_C32 + wide); return;
    case OP_SHR_CL: if (word && !memory) set(rec, OP_F_SHR_C32 + wide); return;
    case OP_SAR_CL: if (word && !memory) set(rec, OP_F_SAR_C32 + wide); return;
    case OP_IMUL2: if (word) set(rec, (wide ? OP_F_IMUL_R64 : OP_F_IMUL_R32) + <i32>memory); return;
    case OP_IMUL3: if (word && !memory) set(rec, wide ? OP_F_IMUL3_R64 : OP_F_IMUL3_R32); return;
    case OP_BT_I: {
      if (!word || memory) return;
      store<i64>(rec, load<i64>(rec, L.REC_IMM) & (wide ? 63 : 31), L.REC_IMM);
      set(rec, OP_F_BT_I32 + wide);
      return;
    }
    case OP_BT: if (word && !memory) set(rec, wide ? OP_F_BT_R64 : OP_F_BT_R32); return;
    case OP_CBW: if (wide) set(rec, OP_F_CDQE); return;
    case OP_CWD: if (word) set(rec, wide ? OP_F_CQO : OP_F_CDQ); return;
    case OP_CMOVCC: if (word) set(rec, OP_F_CMOV_R32 + wide * 2 + <i32>memory); return;
    case OP_SETCC: if (!memory) set(rec, OP_F_SETCC_R); return;
    case OP_XCHG: if (wide && !memory) set(rec, OP_F_XCHG_R64); return;
    case OP_NOP:
    case OP_PAUSE: set(rec, OP_F_NOP); return;
  }
  if (!code64 || size != 8) return;
  switch (op) {
    case OP_PUSH: set(rec, memory ? OP_F_PUSH_M : OP_F_PUSH_R); return;
    case OP_PUSH_I: set(rec, OP_F_PUSH_I); return;
    case OP_POP: if (!memory) set(rec, OP_F_POP_R); return;
    case OP_LEAVE: set(rec, OP_F_LEAVE); return;
    case OP_JMP: set(rec, OP_F_JMP); return;
    case OP_CALL: set(rec, OP_F_CALL); return;
    case OP_RET: set(rec, OP_F_RET); return;
    case OP_JMP_E: set(rec, memory ? OP_F_JMP_M : OP_F_JMP_R); return;
    case OP_CALL_E: set(rec, memory ? OP_F_CALL_M : OP_F_CALL_R); return;
    case OP_JCC: set(rec, OP_F_J0 + <i32>load<u8>(rec, L.REC_CC)); return;
  }
}
