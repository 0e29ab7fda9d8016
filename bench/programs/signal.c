// Signals that a process sends to itself, and returns from their handler.
#include "bench.h"

enum { SIGNALS = 50, SIGUSR1 = 10, SA_RESTORER = 0x04000000 };
const char name[] = "signal";
static volatile u64 handled;
static i64 self;

static void handler(int number) {
	handled += number;
}

void restorer(void);
asm("restorer:\n"
	"	mov $15, %eax\n" // rt_sigreturn
	"	syscall\n");

void setup(void) {
	// struct kernel_sigaction
	struct {
		void (*handler)(int);
		u64 flags;
		void (*restorer)(void);
		u64 mask;
	} action = {handler, SA_RESTORER, restorer, 0};
	if (syscall6(SYS_rt_sigaction, SIGUSR1, (i64)&action, 0, 8, 0, 0) != 0) fail("rt_sigaction failed");
	self = syscall3(SYS_getpid, 0, 0, 0);
}

u64 iteration(void) {
	handled = 0;
	for (u32 n = 0; n < SIGNALS; n++) syscall3(SYS_kill, self, SIGUSR1, 0);
	return handled;
}
