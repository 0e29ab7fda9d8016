// AES-128 (FIPS 197) in counter mode with 32-bit tables: loads whose addresses come from bytes of the state.
#include "bench.h"

enum { BLOCKS = 1 << 14, ROUNDS = 10 };
const char name[] = "aes";
static u8 sbox[256];
static u32 table[4][256], round_keys[4 * (ROUNDS + 1)];

static u8 times2(u8 x) {
	return x << 1 ^ (x & 0x80 ? 0x1b : 0);
}

static inline u32 rotate(u32 x, u32 by) {
	return by == 0 ? x : x << by | x >> (32 - by);
}

static void make_tables(void) {
	u8 p = 1, q = 1;
	do {
		p ^= times2(p); // * 3
		q ^= q << 1, q ^= q << 2, q ^= q << 4; // / 3
		if (q & 0x80) q ^= 0x09;
		u8 x = q;
		sbox[p] = x ^ (u8)(x << 1 | x >> 7) ^ (u8)(x << 2 | x >> 6) ^ (u8)(x << 3 | x >> 5) ^ (u8)(x << 4 | x >> 4) ^ 0x63;
	} while (p != 1);
	sbox[0] = 0x63;
	for (u32 n = 0; n < 256; n++) {
		u8 s = sbox[n], s2 = times2(s);
		u32 word = s2 | s << 8 | s << 16 | (u32)(s2 ^ s) << 24;
		for (u32 row = 0; row < 4; row++) table[row][n] = rotate(word, 8 * row);
	}
}

static u32 substitute(u32 word) {
	return sbox[word & 255] | sbox[word >> 8 & 255] << 8 | sbox[word >> 16 & 255] << 16 | (u32)sbox[word >> 24] << 24;
}

void setup(void) {
	make_tables();
	for (u32 n = 0; n < 4; n++) round_keys[n] = 0x16157e2b + 0x10203040 * n;
	u8 constant = 1;
	for (u32 n = 4; n < 4 * (ROUNDS + 1); n++) {
		u32 word = round_keys[n - 1];
		if (n % 4 == 0) {
			word = substitute(rotate(word, 24)) ^ constant;
			constant = times2(constant);
		}
		round_keys[n] = round_keys[n - 4] ^ word;
	}
}

static void encrypt(u32 *s) {
	const u32 *key = round_keys;
	u32 a = s[0] ^ key[0], b = s[1] ^ key[1], c = s[2] ^ key[2], d = s[3] ^ key[3];
#define COLUMN(w, x, y, z) (table[0][(w) & 255] ^ table[1][(x) >> 8 & 255] ^ table[2][(y) >> 16 & 255] ^ table[3][(z) >> 24])
#define LAST(w, x, y, z) (sbox[(w) & 255] | sbox[(x) >> 8 & 255] << 8 | sbox[(y) >> 16 & 255] << 16 | (u32)sbox[(z) >> 24] << 24)
	for (u32 round = 1; round < ROUNDS; round++) {
		key += 4;
		u32 e = COLUMN(a, b, c, d) ^ key[0], f = COLUMN(b, c, d, a) ^ key[1];
		u32 g = COLUMN(c, d, a, b) ^ key[2], h = COLUMN(d, a, b, c) ^ key[3];
		a = e, b = f, c = g, d = h;
	}
	key += 4;
	s[0] = LAST(a, b, c, d) ^ key[0], s[1] = LAST(b, c, d, a) ^ key[1];
	s[2] = LAST(c, d, a, b) ^ key[2], s[3] = LAST(d, a, b, c) ^ key[3];
}

u64 iteration(void) {
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < BLOCKS; n++) {
		u32 state[4] = {n, n * 3, n ^ 0x5555, 7};
		encrypt(state);
		sum = checksum(sum, (u64)state[0] << 32 | state[1]);
		sum = checksum(sum, (u64)state[2] << 32 | state[3]);
	}
	return sum;
}
