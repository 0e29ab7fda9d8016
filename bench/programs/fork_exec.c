// A child that executes this file again and exits.
#include "bench.h"

const char name[] = "fork_exec";

void setup(void) {}

u64 iteration(void) {
	const char *const argv[] = {executable, "exit", 0};
	i64 pid = syscall3(SYS_fork, 0, 0, 0);
	if (pid == 0) {
		syscall3(SYS_execve, executable, argv, argv + 2);
		exit(1);
	}
	reap(pid);
	return 1;
}
