// Products of 64 by 64 bits.

/** High half of the unsigned 128-bit product. */
export function multiplyHigh(x: u64, y: u64): u64 {
  const xl = x & 0xffffffff;
  const xh = x >> 32;
  const yl = y & 0xffffffff;
  const yh = y >> 32;
  const low = xl * yl;
  const m1 = xh * yl + (low >> 32);
  const m2 = xl * yh + (m1 & 0xffffffff);
  return xh * yh + (m1 >> 32) + (m2 >> 32);
}

/** High half of the signed 128-bit product. */
export function multiplyHighSigned(x: i64, y: i64): i64 {
  return <i64>multiplyHigh(<u64>x, <u64>y) - (x < 0 ? y : 0) - (y < 0 ? x : 0);
}

/** Whether x * y does not fit in 64 signed bits; `low` is the wrapped product. */
export function productOverflows(x: i64, y: i64, low: i64): bool {
  // Operands of 32 bits are the common case.
  if (x == <i64><i32>x && y == <i64><i32>y) return false;
  return multiplyHighSigned(x, y) != low >> 63;
}
