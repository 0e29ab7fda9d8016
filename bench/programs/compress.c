// An LZ77 compressor with a hash table of recent places, and its decompressor, over text of made-up words.
#include "bench.h"

enum { SIZE = 1 << 17, HASH_BITS = 13, MIN_MATCH = 4, MAX_MATCH = 130, WINDOW = 65535 };
const char name[] = "compress";
static u8 text[SIZE + 16], packed[SIZE * 2], unpacked[SIZE + 16];
static u32 recent[1 << HASH_BITS];

void setup(void) {
	u64 seed = 5;
	u8 words[256][8];
	for (u32 word = 0; word < 256; word++)
		for (u32 n = 0; n < 8; n++) words[word][n] = 'a' + (random_next(&seed) >> 33) % (n < 3 ? 20 : 26);
	for (u32 at = 0; at < SIZE;) {
		u64 random = random_next(&seed) >> 20;
		u32 word = (random & 255) * (random >> 8 & 255) >> 8, length = 2 + word % 7; // the first words are the commonest
		for (u32 n = 0; n < length && at < SIZE; n++) text[at++] = words[word][n];
		if (at < SIZE) text[at++] = random >> 16 & 15 ? ' ' : '\n';
	}
}

static inline u32 hash(const u8 *at) {
	return *(const u32 *)at * 2654435761u >> (32 - HASH_BITS);
}

static u8 *put_literals(u8 *out, const u8 *from, const u8 *to) {
	while (from < to) {
		u32 run = to - from > 128 ? 128 : to - from;
		*out++ = run - 1;
		for (u32 n = 0; n < run; n++) *out++ = *from++;
	}
	return out;
}

// A byte below 128: that many literals and one more follow. Else: a match of that less 128 and MIN_MATCH bytes, and its distance in two bytes.
static u32 compress(void) {
	u8 *out = packed;
	const u8 *literals = text, *end = text + SIZE;
	memset(recent, 0, sizeof recent);
	for (const u8 *at = text + 1; at + MIN_MATCH <= end;) {
		u32 *slot = &recent[hash(at)];
		const u8 *match = text + *slot;
		*slot = at - text;
		u32 length = 0;
		if (at - match <= WINDOW)
			while (length < MAX_MATCH && at + length < end && at[length] == match[length]) length++;
		if (length < MIN_MATCH) {
			at++;
			continue;
		}
		out = put_literals(out, literals, at);
		*out++ = 128 + length - MIN_MATCH;
		*out++ = at - match;
		*out++ = (at - match) >> 8;
		literals = at += length;
	}
	return put_literals(out, literals, end) - packed;
}

static u32 decompress(u32 size) {
	u8 *out = unpacked;
	for (const u8 *at = packed, *end = packed + size; at < end;) {
		u32 token = *at++;
		if (token < 128) {
			for (u32 n = 0; n <= token; n++) *out++ = *at++;
			continue;
		}
		const u8 *match = out - (at[0] | at[1] << 8);
		at += 2;
		for (u32 n = 0; n < token - 128 + MIN_MATCH; n++) *out++ = *match++;
	}
	return out - unpacked;
}

u64 iteration(void) {
	u32 size = compress();
	if (decompress(size) != SIZE || memcmp(text, unpacked, SIZE) != 0) fail("what was decompressed is not what was compressed");
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < size; n++) sum = checksum(sum, packed[n]);
	return checksum(sum, size);
}
