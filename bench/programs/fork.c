// A child that writes to a page of its own and exits.
#include "bench.h"

const char name[] = "fork";
static volatile u64 shared = 1;

void setup(void) {}

u64 iteration(void) {
	i64 pid = syscall3(SYS_fork, 0, 0, 0);
	if (pid == 0) {
		shared = 2;
		exit(0);
	}
	reap(pid);
	return shared;
}
