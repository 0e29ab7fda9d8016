// Words looked for in a text, byte by byte and by Horspool's method: short loops over bytes.
#include "bench.h"

enum { SIZE = 1 << 16, PATTERNS = 12, LENGTH = 6 };
const char name[] = "search";
static u8 text[SIZE], patterns[PATTERNS][LENGTH];

void setup(void) {
	u64 seed = 7;
	for (u32 n = 0; n < SIZE; n++) text[n] = 'a' + (random_next(&seed) >> 30) % 6;
	for (u32 n = 0; n < PATTERNS; n++) memcpy(patterns[n], text + (random_next(&seed) >> 30) % (SIZE - LENGTH), LENGTH);
}

static u64 plain_search(const u8 *pattern) {
	u64 found = 0;
	for (u32 at = 0; at + LENGTH <= SIZE; at++) {
		u32 n = 0;
		while (n < LENGTH && text[at + n] == pattern[n]) n++;
		if (n == LENGTH) found += at;
	}
	return found;
}

static u64 horspool_search(const u8 *pattern) {
	u8 skip[256];
	memset(skip, LENGTH, sizeof skip);
	for (u32 n = 0; n + 1 < LENGTH; n++) skip[pattern[n]] = LENGTH - 1 - n;
	u64 found = 0;
	for (u32 at = 0; at + LENGTH <= SIZE; at += skip[text[at + LENGTH - 1]]) {
		u32 n = LENGTH;
		while (n > 0 && text[at + n - 1] == pattern[n - 1]) n--;
		if (n == 0) found += at;
	}
	return found;
}

u64 iteration(void) {
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < PATTERNS; n++) {
		u64 found = plain_search(patterns[n]);
		if (found != horspool_search(patterns[n])) fail("the two methods differ");
		sum = checksum(sum, found);
	}
	return sum;
}
