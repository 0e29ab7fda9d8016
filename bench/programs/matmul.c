// The product of two matrices of doubles.
#include "bench.h"

enum { N = 96 };
const char name[] = "matmul";
static double a[N][N], b[N][N], product[N][N];

void setup(void) {
	for (u32 i = 0; i < N; i++)
		for (u32 j = 0; j < N; j++) {
			a[i][j] = 1.0 / (i + j + 1);
			b[i][j] = (double)(i * 7 % 13) - j * 0.25;
		}
}

u64 iteration(void) {
	for (u32 i = 0; i < N; i++)
		for (u32 j = 0; j < N; j++) {
			double sum = 0;
			for (u32 k = 0; k < N; k++) sum += a[i][k] * b[k][j];
			product[i][j] = sum;
		}
	u64 sum = CHECKSUM_START;
	for (u32 i = 0; i < N; i++)
		for (u32 j = 0; j < N; j++) sum = checksum(sum, bits_of(product[i][j]));
	return sum;
}
