// Quicksort of random numbers: unpredictable branches, loads and stores.
#include "bench.h"

enum { COUNT = 40000 };
const char name[] = "sort";
static u32 source[COUNT], numbers[COUNT];

void setup(void) {
	u64 seed = 1;
	for (u32 n = 0; n < COUNT; n++) source[n] = random_next(&seed) >> 20;
}

static void insertion_sort(u32 *a, i64 count) {
	for (i64 i = 1; i < count; i++) {
		u32 value = a[i];
		i64 at = i;
		for (; at > 0 && a[at - 1] > value; at--) a[at] = a[at - 1];
		a[at] = value;
	}
}

static void quicksort(u32 *a, i64 count) {
	while (count > 12) {
		u32 x = a[0], y = a[count / 2], z = a[count - 1];
		u32 pivot = x < y ? (y < z ? y : (x < z ? z : x)) : (x < z ? x : (y < z ? z : y));
		i64 low = 0, high = count - 1;
		while (low <= high) {
			while (a[low] < pivot) low++;
			while (a[high] > pivot) high--;
			if (low > high) break;
			u32 swap = a[low];
			a[low++] = a[high];
			a[high--] = swap;
		}
		quicksort(a, high + 1);
		a += low;
		count -= low;
	}
	insertion_sort(a, count);
}

u64 iteration(void) {
	memcpy(numbers, source, sizeof numbers);
	quicksort(numbers, COUNT);
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < COUNT; n++) sum = checksum(sum, numbers[n]);
	return sum;
}
