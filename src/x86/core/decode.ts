// Bytes to records, by the tables that scripts/build_core.ts makes from src/x86/opcodes.

import * as L from "./layout";

import { mainTable, groupTable, descriptorTable, plainTable } from "./generated/tables";
import { OP_EA, OP_EA32, OP_INVALID, OP_LEA, OP_NOP, OP_POP, OP_XCHG_A, OP_PAUSE, OP_JCC, OP_SETCC, OP_CMOVCC, OP_F_JMP } from "./generated/ops";
import { specialize } from "./specialize";

// Flags, size kinds, immediates and forms of a descriptor: src/x86/opcodes/table.ts.
const FLAG_MODRM: u32 = 1;
const FLAG_REG_GPR: u32 = 2;
const FLAG_REG_BYTE: u32 = 4;
const FLAG_RM_GPR: u32 = 8;
const FLAG_RM_BYTE: u32 = 16;
const FLAG_LOCK: u32 = 32;
const FLAG_D64: u32 = 64;
const FLAG_F64: u32 = 128;
const FLAG_I64: u32 = 256;
const FLAG_OPCODE_REG: u32 = 512;
const FLAG_O64: u32 = 1024;
const FLAG_RM_RAX: u32 = 2048;

const MAX_LENGTH: u32 = 15;

/** Length of the instruction that decode() last read. */
export let decodedLength: u32 = 0;
/** Its operation before any specialisation. */
export let decodedOperation: i32 = 0;

const enum Seg {
  None = -1,
}

@inline
function gprSlot(index: u32, byte: bool, rex: u32): u8 {
  return <u8>(byte && !rex && index >= 4 && index < 8 ? (index - 4) * 8 + 1 : index * 8);
}

/** Slot of a segment's base, by segment register number. In 64-bit mode only FS and GS have one. */
function segmentSlot(segment: i32, code64: bool): u8 {
  if (segment == 4) return <u8>L.SLOT_FS_BASE;
  if (segment == 5) return <u8>L.SLOT_GS_BASE;
  if (code64) return <u8>L.SLOT_ZERO;
  if (segment == 0) return <u8>L.SLOT_ES_BASE;
  if (segment == 1) return <u8>L.SLOT_CS_BASE;
  if (segment == 2) return <u8>L.SLOT_SS_BASE;
  return <u8>L.SLOT_DS_BASE;
}

/**
 * Decodes the instruction whose bytes are at `at`, `available` of them readable, into records from `rec` on; `off` is its offset in its page.
 * Returns the number of records (1 or 2), or 0 when the bytes run out.
 * `fast` allows the main loop's specialised operations.
 */
export function decode(at: usize, available: u32, rec: usize, off: u32, code64: bool, fast: bool): u32 {
  const limit = available < MAX_LENGTH ? available : MAX_LENGTH;
  let n: u32 = 0;
  let rex: u32 = 0;
  let prefixes: u32 = 0;
  let address: bool = false;
  let segment: i32 = Seg.None;
  let byte: u32 = 0;

  // Prefixes; a REX counts only when it comes last.
  while (true) {
    if (n >= limit) return overrun(rec, off, available);
    byte = load<u8>(at + n);
    if (code64 && (byte & 0xf0) == 0x40) {
      rex = byte;
      n += 1;
      if (n >= limit) return overrun(rec, off, available);
      byte = load<u8>(at + n);
      // A legacy prefix after REX cancels it.
      if (isPrefix(byte) || (byte & 0xf0) == 0x40) {
        rex = 0;
        continue;
      }
      break;
    }
    if (byte == 0x66) prefixes |= L.RF_OP16;
    else if (byte == 0x67) address = true;
    else if (byte == 0xf0) prefixes |= L.RF_LOCK;
    else if (byte == 0xf2) prefixes = (prefixes & ~L.RF_REP) | L.RF_REPNE;
    else if (byte == 0xf3) prefixes = (prefixes & ~L.RF_REPNE) | L.RF_REP;
    else if (byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e) {
      // ES CS SS DS: ignored in 64-bit mode, where an earlier FS or GS stands.
      if (!code64) segment = <i32>(byte >> 3) & 3;
    } else if (byte == 0x64) segment = 4;
    else if (byte == 0x65) segment = 5;
    else break;
    n += 1;
  }
  let map: u32 = 0;
  n += 1;
  if (byte == 0x0f) {
    if (n >= limit) return overrun(rec, off, available);
    byte = load<u8>(at + n);
    n += 1;
    map = 1;
    if (byte == 0x38 || byte == 0x3a) {
      map = byte == 0x38 ? 2 : 3;
      if (n >= limit) return overrun(rec, off, available);
      byte = load<u8>(at + n);
      n += 1;
    }
  }
  const opcode = byte;
  const prefix: u32 = prefixes & L.RF_REPNE ? 3 : prefixes & L.RF_REP ? 2 : prefixes & L.RF_OP16 ? 1 : 0;

  store<u64>(rec, 0);
  store<u64>(rec, 0, 8);
  store<u64>(rec, 0, 16);
  store<u64>(rec, 0, 24);
  store<u16>(rec, <u16>off, L.REC_OFF);
  store<u8>(rec, <u8>opcode, L.REC_OPCODE);

  let entry: u32 = !code64 && !map ? <u32>load<u16>(mainTable + <usize>(((4 << 8 | opcode) << 2 | prefix) << 1)) : 0;
  if (!entry) entry = load<u16>(mainTable + <usize>(((map << 8 | opcode) << 2 | prefix) << 1));
  let modrm: u32 = 0;
  if (entry & 0x8000) {
    if (n >= limit) return overrun(rec, off, available);
    modrm = load<u8>(at + n);
    const half: u32 = modrm >= 0xc0 ? 8 : 0;
    entry = load<u16>(groupTable + <usize>((((entry & 0x7fff) << 4) + ((modrm >> 3) & 7) + half) << 1));
    if (entry & 0x8000) entry = load<u16>(groupTable + <usize>((((entry & 0x7fff) << 4) + (modrm & 7) + half) << 1));
  }
  const descriptor = descriptorTable + <usize>(entry << 3);
  const op: i32 = load<u16>(descriptor);
  const flags: u32 = load<u16>(descriptor, 4);
  if (!entry || (code64 ? flags & FLAG_I64 : flags & FLAG_O64)) {
    return invalid(rec, n);
  }

  // Operand size.
  let opsize: u32 = 0;
  const op16 = (prefixes & L.RF_OP16) != 0;
  const rexw = (rex & 8) != 0;
  switch (<u32>load<u8>(descriptor, 3)) {
    case 1: opsize = 1; break;
    case 2: opsize = 2; break;
    case 3: opsize = 4; break;
    case 4: opsize = 8; break;
    case 5: opsize = rexw ? 8 : op16 ? 2 : code64 && flags & (FLAG_D64 | FLAG_F64) ? 8 : 4; break;
    case 6: opsize = rexw || (code64 && flags & FLAG_F64) ? 8 : 4; break;
    case 7: opsize = op16 && !rexw ? 2 : code64 && flags & FLAG_F64 ? 8 : 4; break;
    case 8: opsize = 16; break;
  }

  let recFlags = prefixes | (rexw ? L.RF_REXW : 0);
  let memory = false;
  let relative = false;
  let base: u8 = <u8>L.SLOT_ZERO;
  let index: u8 = <u8>L.SLOT_ZERO;
  let scale: u32 = 0;
  let disp: i32 = 0;
  let stack = false;
  const address16 = !code64 && address;

  if (flags & FLAG_MODRM) {
    if (n >= limit) return overrun(rec, off, available);
    modrm = load<u8>(at + n);
    n += 1;
    const mod = modrm >> 6;
    const reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    let rm = modrm & 7;
    store<u8>(rec, <u8>modrm, L.REC_MODRM);
    store<u8>(rec, flags & FLAG_REG_GPR ? gprSlot(reg, (flags & FLAG_REG_BYTE) != 0, rex) : <u8>reg, L.REC_REG);
    if (mod == 3) {
      rm |= (rex & 1) << 3;
      store<u8>(rec, flags & FLAG_RM_GPR ? gprSlot(rm, (flags & FLAG_RM_BYTE) != 0, rex) : <u8>rm, L.REC_RM);
    } else {
      memory = true;
      recFlags |= L.RF_MEM;
      let width: u32 = mod == 1 ? 1 : mod == 2 ? 4 : 0;
      if (address16) {
        if (mod == 2 || (mod == 0 && rm == 6)) width = 2;
        // BX+SI BX+DI BP+SI BP+DI SI DI BP BX
        if (rm < 4) {
          base = <u8>(rm < 2 ? 3 * 8 : 5 * 8);
          index = <u8>(rm & 1 ? 7 * 8 : 6 * 8);
        } else if (!(rm == 6 && mod == 0)) base = <u8>(rm == 4 ? 6 * 8 : rm == 5 ? 7 * 8 : rm == 6 ? 5 * 8 : 3 * 8);
        stack = rm == 2 || rm == 3 || (rm == 6 && mod != 0);
      } else if (rm == 4) {
        if (n >= limit) return overrun(rec, off, available);
        const sib: u32 = load<u8>(at + n);
        n += 1;
        scale = sib >> 6;
        const indexNumber = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (indexNumber != 4) index = <u8>(indexNumber << 3);
        else scale = 0;
        if ((sib & 7) == 5 && mod == 0) width = 4;
        else base = <u8>(((sib & 7) | ((rex & 1) << 3)) << 3);
        stack = base == 4 * 8 || base == 5 * 8;
      } else if (rm == 5 && mod == 0) {
        width = 4;
        if (code64) {
          base = <u8>L.SLOT_PAGE;
          relative = true;
        }
      } else {
        base = <u8>((rm | ((rex & 1) << 3)) << 3);
        stack = base == 5 * 8;
      }
      if (n + width > limit) return overrun(rec, off, available);
      if (width == 1) disp = load<i8>(at + n);
      else if (width == 2) disp = load<i16>(at + n);
      else if (width == 4) disp = load<i32>(at + n);
      n += width;
    }
  } else if (flags & FLAG_OPCODE_REG) {
    store<u8>(rec, gprSlot((opcode & 7) | ((rex & 1) << 3), (flags & FLAG_RM_BYTE) != 0, rex), L.REC_RM);
  }
  if (prefixes & L.RF_LOCK && !(flags & FLAG_LOCK && memory)) return invalid(rec, n);

  // Immediate.
  let immediate: i64 = 0;
  let width: u32 = 0;
  // A 16-bit operand size truncates branches, in 64-bit mode too on the processors whose vendor string we carry.
  const branch16 = op16 && !rexw;
  switch (<u32>load<u8>(descriptor, 2)) {
    case 1: width = 1; break;
    case 2: width = 2; break;
    case 3: width = 4; break;
    case 4: width = op16 && !rexw ? 2 : 4; break;
    case 5: width = rexw ? 8 : op16 ? 2 : 4; break;
    case 6: width = 1; break;
    case 7: width = branch16 ? 2 : 4; break;
    case 8: width = code64 ? (address ? 4 : 8) : address ? 2 : 4; break;
    case 9: width = 3; break;
    case 10: width = op16 ? 4 : 6; break;
    case 11: width = 2; break;
  }
  if (n + width > limit) return overrun(rec, off, available);
  const from = at + n;
  n += width;
  switch (<u32>load<u8>(descriptor, 2)) {
    case 1: immediate = load<i8>(from); break;
    case 2: immediate = load<u16>(from); break;
    case 3: immediate = load<i32>(from); break;
    case 4: immediate = width == 2 ? <i64>load<i16>(from) : <i64>load<i32>(from); break;
    case 5: immediate = width == 8 ? load<i64>(from) : width == 2 ? <i64>load<i16>(from) : <i64>load<i32>(from); break;
    case 6: immediate = <i64>load<i8>(from) + <i64>(off + n); break;
    case 7: immediate = (width == 2 ? <i64>load<i16>(from) : <i64>load<i32>(from)) + <i64>(off + n); break;
    case 8: immediate = width == 8 ? load<i64>(from) : width == 4 ? <i64>load<u32>(from) : <i64>load<u16>(from); break;
    case 9: immediate = <i64>load<u16>(from) | (<i64>load<u8>(from + 2) << 16); break;
    case 10: immediate = width == 4 ? <i64>load<u16>(from) | (<i64>load<u16>(from + 2) << 32) : <i64>load<u32>(from) | (<i64>load<u16>(from + 4) << 32); break;
    case 11: immediate = <i64>load<u16>(from); break;
  }

  if (relative) disp += <i32>(off + n);
  if (address) recFlags |= L.RF_ADDR32;
  store<u8>(rec, <u8>n, L.REC_LEN);
  store<i64>(rec, immediate, L.REC_IMM);
  store<u8>(rec, <u8>opsize, L.REC_OPSIZE);
  store<u8>(rec, <u8>recFlags, L.REC_FLAGS);
  if (flags & FLAG_RM_RAX) store<u8>(rec, 0, L.REC_RM);
  if (op == OP_JCC || op == OP_SETCC || op == OP_CMOVCC) store<u8>(rec, <u8>(opcode & 15), L.REC_CC);

  let seg: u8 = segment == Seg.None ? segmentSlot(stack ? 2 : 3, code64) : segmentSlot(segment, code64);
  if (op == OP_LEA) seg = <u8>L.SLOT_ZERO;
  // POP into memory addresses it with the stack pointer already raised.
  if (op == OP_POP && memory && base == 4 * 8) disp += <i32>opsize;

  let finalOp = op;
  if (op == OP_XCHG_A && load<u8>(rec, L.REC_RM) == 0) finalOp = OP_NOP;
  // F3 90 with REX.B is the exchange, not PAUSE.
  if (op == OP_PAUSE && rex & 1) {
    finalOp = OP_XCHG_A;
    opsize = rexw ? 8 : op16 ? 2 : 4;
    store<u8>(rec, <u8>opsize, L.REC_OPSIZE);
    store<u8>(rec, 8 * 8, L.REC_RM);
  }
  decodedLength = n;
  decodedOperation = finalOp;
  store<u16>(rec, <u16>finalOp, L.REC_OP);
  store<u8>(rec, base, L.REC_BASE);
  store<u8>(rec, index, L.REC_INDEX);
  store<u8>(rec, seg, L.REC_SEG);
  store<u8>(rec, <u8>scale, L.REC_SCALE);
  store<i32>(rec, disp, L.REC_DISP);
  let used: u32 = 1;
  if (memory && (!code64 || address)) {
    // The address is computed by a record of its own, truncated as the address size says.
    memory_copy(rec + L.REC_SIZE, rec);
    store<u16>(rec, <u16>(code64 ? OP_EA : OP_EA32), L.REC_OP);
    store<u8>(rec, <u8>(address16 ? 2 : 4), L.REC_OPSIZE);
    rec += L.REC_SIZE;
    store<u8>(rec, <u8>L.SLOT_EA, L.REC_BASE);
    store<u8>(rec, <u8>L.SLOT_ZERO, L.REC_INDEX);
    store<u8>(rec, <u8>L.SLOT_ZERO, L.REC_SEG);
    store<u8>(rec, 0, L.REC_SCALE);
    store<i32>(rec, 0, L.REC_DISP);
    used = 2;
  }
  if (fast) {
    specialize(rec, finalOp, <u32>load<u8>(descriptor, 6), code64);
    if (memory && index == <u8>L.SLOT_ZERO && seg == <u8>L.SLOT_ZERO) takePlainForm(rec);
  }
  return used;
}

/** The form of a specialised operation for a memory operand that has only a base and a displacement, if there is one. */
function takePlainForm(rec: usize): void {
  const op = <u32>load<u16>(rec, L.REC_OP);
  const plain = op < <u32>OP_F_JMP ? load<u16>(plainTable + (op << 1)) : 0;
  if (plain) store<u16>(rec, plain, L.REC_OP);
}

@inline
function memory_copy(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
}

@inline
function isPrefix(byte: u32): bool {
  return byte == 0x66 || byte == 0x67 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 || byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e ||
    byte == 0x64 || byte == 0x65;
}

/** The bytes ran out: at the page's end (0), or the instruction is longer than 15 bytes (#GP, as operation INVALID with REC_CC = 13). */
function overrun(rec: usize, off: u32, available: u32): u32 {
  if (available < MAX_LENGTH) return 0;
  store<u64>(rec, 0);
  store<u64>(rec, 0, 8);
  store<u64>(rec, 0, 16);
  store<u64>(rec, 0, 24);
  store<u16>(rec, <u16>off, L.REC_OFF);
  store<u8>(rec, 13, L.REC_CC);
  return invalid(rec, MAX_LENGTH);
}

function invalid(rec: usize, length: u32): u32 {
  store<u16>(rec, <u16>OP_INVALID, L.REC_OP);
  store<u8>(rec, <u8>length, L.REC_LEN);
  decodedLength = length;
  decodedOperation = OP_INVALID;
  return 1;
}
