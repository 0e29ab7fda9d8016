// A fast Fourier transform of complex doubles, there and back.
#include "bench.h"

enum { BITS = 12, N = 1 << BITS };
const char name[] = "fft";
struct complex {
	double re, im;
};
static struct complex source[N], data[N], roots[N / 2];

// exp(i x) for x in [0, pi], by its series.
static struct complex unit(double x) {
	struct complex sum = {0, 0};
	double term = 1;
	for (u32 n = 0; n < 40; n++) {
		double *part = n & 1 ? &sum.im : &sum.re;
		*part += n & 2 ? -term : term;
		term *= x / (n + 1);
	}
	return sum;
}

void setup(void) {
	u64 seed = 8;
	for (u32 n = 0; n < N / 2; n++) roots[n] = unit(6.283185307179586 * n / N);
	for (u32 n = 0; n < N; n++) {
		source[n].re = (random_next(&seed) >> 40) / 16777216.0;
		source[n].im = (random_next(&seed) >> 40) / 16777216.0;
	}
}

static void transform(double direction) {
	for (u32 n = 0, reversed = 0; n < N; n++) {
		if (n < reversed) {
			struct complex swap = data[n];
			data[n] = data[reversed];
			data[reversed] = swap;
		}
		u32 bit = N >> 1;
		while (reversed & bit) reversed ^= bit, bit >>= 1;
		reversed |= bit;
	}
	for (u32 half = 1; half < N; half *= 2)
		for (u32 start = 0; start < N; start += 2 * half)
			for (u32 k = 0; k < half; k++) {
				struct complex w = roots[k * (N / 2 / half)], *low = &data[start + k], *high = low + half;
				double im = direction * w.im;
				double x = high->re * w.re - high->im * im, y = high->re * im + high->im * w.re;
				high->re = low->re - x, high->im = low->im - y;
				low->re += x, low->im += y;
			}
}

u64 iteration(void) {
	memcpy(data, source, sizeof data);
	transform(-1);
	transform(1);
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < N; n++) {
		double error = data[n].re / N - source[n].re;
		if (error > 1e-9 || error < -1e-9) fail("the inverse transform is wrong");
		sum = checksum(checksum(sum, bits_of(data[n].re)), bits_of(data[n].im));
	}
	return sum;
}
