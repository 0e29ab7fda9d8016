// Decimal adjustment (compatibility mode).

import * as L from "../layout";
import { cpu, raise } from "../state";
import { NEXT } from "../execute";
import { setFlags, statusFlags, CF, PF, AF, ZF, SF } from "../flags";
import { OP_DAA, OP_DAS, OP_AAA, OP_AAS, OP_AAM } from "../generated/ops";

function parityOf(value: u32): u32 {
  return popcnt<u32>(value & 0xff) & 1 ? 0 : PF;
}

function signZeroParity(value: u32): u32 {
  return (value & 0xff ? 0 : ZF) | (value & 0x80 ? SF : 0) | parityOf(value);
}

export function executeDecimal(rec: usize, op: i32): i32 {
  const old = statusFlags();
  let al: u32 = load<u8>(cpu);
  let ax: u32 = load<u16>(cpu);
  switch (op) {
    case OP_DAA:
    case OP_DAS: {
      const before = al;
      let flags: u32 = 0;
      const adjustLow = (al & 15) > 9 || (old & AF) != 0;
      if (adjustLow) {
        flags |= AF;
        if (op == OP_DAS && al < 6) flags |= CF;
        al = op == OP_DAA ? al + 6 : al - 6;
      }
      if (before > 0x99 || old & CF) {
        al = op == OP_DAA ? al + 0x60 : al - 0x60;
        flags |= CF;
      } else if (op == OP_DAA) flags &= ~CF;
      al &= 0xff;
      store<u8>(cpu, <u8>al);
      setFlags(flags | signZeroParity(al));
      return NEXT;
    }
    case OP_AAA:
    case OP_AAS: {
      const adjust = (al & 15) > 9 || (old & AF) != 0;
      if (adjust) ax = op == OP_AAA ? ax + 0x106 : ax - 0x106;
      ax &= 0xff0f;
      store<u16>(cpu, <u16>ax);
      setFlags((adjust ? CF | AF : 0) | signZeroParity(ax));
      return NEXT;
    }
    case OP_AAM: {
      const base = load<u32>(rec, L.REC_IMM) & 0xff;
      if (!base) return raise(0, 0);
      store<u16>(cpu, <u16>((al % base) | ((al / base) << 8)));
      setFlags(signZeroParity(al % base));
      return NEXT;
    }
    default: {
      const base = load<u32>(rec, L.REC_IMM) & 0xff;
      al = (al + (ax >> 8) * base) & 0xff;
      store<u16>(cpu, <u16>al);
      setFlags(signZeroParity(al));
      return NEXT;
    }
  }
}
