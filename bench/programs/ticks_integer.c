// Timer interrupts in an integer loop.
#include "ticks.h"

const char name[] = "ticks_integer";

static u64 loop(u64 value) {
	for (u32 n = 0; n < 1000000; n++) value = random_next(&value) | 1;
	return value;
}
