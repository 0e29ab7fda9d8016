// The spectral norm of an infinite matrix, by the power method: conversions from integers and divisions.
#include "bench.h"

enum { N = 100, ROUNDS = 5 };
const char name[] = "spectral";

void setup(void) {}

static inline double element(u32 i, u32 j) {
	return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void multiply(const double *v, double *result, int transposed) {
	for (u32 i = 0; i < N; i++) {
		double sum = 0;
		for (u32 j = 0; j < N; j++) sum += (transposed ? element(j, i) : element(i, j)) * v[j];
		result[i] = sum;
	}
}

u64 iteration(void) {
	double u[N], v[N], between[N];
	for (u32 n = 0; n < N; n++) u[n] = 1;
	for (u32 round = 0; round < ROUNDS; round++) {
		multiply(u, between, 0);
		multiply(between, v, 1);
		multiply(v, between, 0);
		multiply(between, u, 1);
	}
	double uv = 0, vv = 0;
	for (u32 n = 0; n < N; n++) uv += u[n] * v[n], vv += v[n] * v[n];
	return bits_of(__builtin_sqrt(uv / vv));
}
