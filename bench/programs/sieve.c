// The sieve of Eratosthenes with a byte for each number: strided stores and a scan.
#include "bench.h"

enum { LIMIT = 600000 };
const char name[] = "sieve";
static u8 composite[LIMIT];

void setup(void) {}

u64 iteration(void) {
	memset(composite, 0, sizeof composite);
	for (u32 n = 2; n * n < LIMIT; n++) {
		if (composite[n]) continue;
		for (u32 multiple = n * n; multiple < LIMIT; multiple += n) composite[multiple] = 1;
	}
	u64 count = 0, sum = 0;
	for (u32 n = 2; n < LIMIT; n++) {
		if (composite[n]) continue;
		count++;
		sum += n;
	}
	return count << 40 ^ sum;
}
