// The cheapest system call.
#include "bench.h"

enum { CALLS = 200 };
const char name[] = "getppid";
static i64 parent;

void setup(void) {
	parent = syscall3(SYS_getppid, 0, 0, 0);
}

u64 iteration(void) {
	u64 same = 0;
	for (u32 n = 0; n < CALLS; n++) same += syscall3(SYS_getppid, 0, 0, 0) == parent;
	return same;
}
