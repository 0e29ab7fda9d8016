// ChaCha20 (RFC 8439) over a buffer: additions, exclusive ors and rotates in registers.
#include "bench.h"

enum { SIZE = 1 << 18 };
const char name[] = "chacha20";
static u32 data[SIZE / 4];

void setup(void) {
	u64 seed = 3;
	for (u32 n = 0; n < SIZE / 4; n++) data[n] = random_next(&seed);
}

static inline u32 rotate(u32 x, u32 by) {
	return x << by | x >> (32 - by);
}

#define QUARTER(a, b, c, d) \
	do { \
		a += b, d = rotate(d ^ a, 16); \
		c += d, b = rotate(b ^ c, 12); \
		a += b, d = rotate(d ^ a, 8); \
		c += d, b = rotate(b ^ c, 7); \
	} while (0)

u64 iteration(void) {
	u32 key[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11};
	u64 sum = CHECKSUM_START;
	for (u32 at = 0; at < SIZE / 4; at += 16) {
		u32 x[16];
		memcpy(x, key, sizeof x);
		for (u32 round = 0; round < 10; round++) {
			QUARTER(x[0], x[4], x[8], x[12]);
			QUARTER(x[1], x[5], x[9], x[13]);
			QUARTER(x[2], x[6], x[10], x[14]);
			QUARTER(x[3], x[7], x[11], x[15]);
			QUARTER(x[0], x[5], x[10], x[15]);
			QUARTER(x[1], x[6], x[11], x[12]);
			QUARTER(x[2], x[7], x[8], x[13]);
			QUARTER(x[3], x[4], x[9], x[14]);
		}
		for (u32 n = 0; n < 16; n++) sum = checksum(sum, (x[n] + key[n]) ^ data[at + n]);
		key[12]++;
	}
	return sum;
}
