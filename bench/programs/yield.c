// Two processes that give the processor to each other.
#include "bench.h"

enum { YIELDS = 100 };
const char name[] = "yield";

void setup(void) {
	stay_on_one_cpu();
	if (fork_helper() == 0)
		for (;;) syscall3(SYS_sched_yield, 0, 0, 0);
}

u64 iteration(void) {
	u64 done = 0;
	for (u32 n = 0; n < YIELDS; n++) done += syscall3(SYS_sched_yield, 0, 0, 0) == 0;
	return done;
}
