// The Mandelbrot set: double arithmetic in registers and a comparison in every round.
#include "bench.h"

enum { WIDTH = 96, HEIGHT = 64, LIMIT = 200 };
const char name[] = "mandelbrot";

void setup(void) {}

u64 iteration(void) {
	u64 sum = CHECKSUM_START;
	for (u32 row = 0; row < HEIGHT; row++)
		for (u32 column = 0; column < WIDTH; column++) {
			double cx = column * (3.0 / WIDTH) - 2.25, cy = row * (2.5 / HEIGHT) - 1.25;
			double x = 0, y = 0;
			u32 n = 0;
			for (; n < LIMIT && x * x + y * y < 4; n++) {
				double next = x * x - y * y + cx;
				y = 2 * x * y + cy;
				x = next;
			}
			sum = checksum(sum, n);
		}
	return sum;
}
