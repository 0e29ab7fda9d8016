// Schoolbook products of large integers, and Fibonacci numbers: MUL and chains of ADC.
#include "bench.h"

enum { LIMBS = 64, PRODUCTS = 60, ADDITIONS = 3000 };
const char name[] = "bignum";
static u64 a[LIMBS], b[LIMBS], product[2 * LIMBS];

void setup(void) {}

static void multiply(void) {
	memset(product, 0, sizeof product);
	for (u32 i = 0; i < LIMBS; i++) {
		u64 carry = 0;
		for (u32 j = 0; j < LIMBS; j++) {
			unsigned __int128 sum = (unsigned __int128)a[i] * b[j] + product[i + j] + carry;
			product[i + j] = sum;
			carry = sum >> 64;
		}
		product[i + LIMBS] = carry;
	}
}

static void add(u64 *to, const u64 *from) {
	u8 carry = 0;
	for (u32 n = 0; n < LIMBS; n += 4) {
		unsigned long long s0, s1, s2, s3;
		carry = __builtin_ia32_addcarryx_u64(carry, to[n], from[n], &s0);
		carry = __builtin_ia32_addcarryx_u64(carry, to[n + 1], from[n + 1], &s1);
		carry = __builtin_ia32_addcarryx_u64(carry, to[n + 2], from[n + 2], &s2);
		carry = __builtin_ia32_addcarryx_u64(carry, to[n + 3], from[n + 3], &s3);
		to[n] = s0, to[n + 1] = s1, to[n + 2] = s2, to[n + 3] = s3;
	}
}

u64 iteration(void) {
	u64 seed = 6;
	for (u32 n = 0; n < LIMBS; n++) a[n] = random_next(&seed), b[n] = random_next(&seed);
	for (u32 n = 0; n < PRODUCTS; n++) {
		multiply();
		memcpy(a, product, sizeof a);
		memcpy(b, product + LIMBS, sizeof b);
	}
	for (u32 n = 0; n < ADDITIONS; n += 2) {
		add(a, b);
		add(b, a);
	}
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < LIMBS; n++) sum = checksum(checksum(sum, a[n]), b[n]);
	return sum;
}
