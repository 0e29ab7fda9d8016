// A byte to and fro between two processes through two pipes: two switches a round.
#include "bench.h"

enum { ROUNDS = 20 };
const char name[] = "pipe";
static int there[2], back[2];

void setup(void) {
	stay_on_one_cpu();
	if (syscall3(SYS_pipe, there, 0, 0) < 0 || syscall3(SYS_pipe, back, 0, 0) < 0) fail("pipe failed");
	if (fork_helper() != 0) return;
	u8 byte;
	while (syscall3(SYS_read, there[0], &byte, 1) == 1) {
		byte++;
		syscall3(SYS_write, back[1], &byte, 1);
	}
	exit(0);
}

u64 iteration(void) {
	u64 sum = CHECKSUM_START;
	for (u32 n = 0; n < ROUNDS; n++) {
		u8 byte = n;
		if (syscall3(SYS_write, there[1], &byte, 1) != 1 || syscall3(SYS_read, back[0], &byte, 1) != 1) fail("the pipe broke");
		sum = checksum(sum, byte);
	}
	return sum;
}
