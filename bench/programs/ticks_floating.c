// Timer interrupts in a floating-point loop.
#include "ticks.h"

const char name[] = "ticks_floating";

static u64 loop(u64 value) {
	double x = 1.0 / value;
	for (u32 n = 0; n < 1000000; n++) x = x * x - 1.25 + 1.0 / (x + 3);
	return bits_of(x) | 1;
}
