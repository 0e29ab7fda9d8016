// Timer interrupts that reach a guest while it runs a long floating-point loop without system calls: an interval timer of 4 ms asks for
// 250 signals in a second. Prints "ticks ASKED DELIVERED" and not the line of the other programs.
#include "bench.h"

enum { SYS_setitimer = 38, SIGALRM = 14, SA_RESTORER = 0x04000000, INTERVAL_us = 4000, ASKED = 250 };
const char name[] = "ticks";
static volatile u64 delivered, stop;
static u64 end_ns;

static void handler(int number) {
	(void)number;
	if (nanoseconds() < end_ns) delivered++;
	else stop = 1;
}

void restorer(void);
asm("restorer:\n"
	"	mov $15, %eax\n" // rt_sigreturn
	"	syscall\n");

void setup(void) {
	// struct kernel_sigaction; struct itimerval
	struct {
		void (*handler)(int);
		u64 flags;
		void (*restorer)(void);
		u64 mask;
	} action = {handler, SA_RESTORER, restorer, 0};
	u64 interval[4] = {0, INTERVAL_us, 0, INTERVAL_us};
	if (syscall6(SYS_rt_sigaction, SIGALRM, (i64)&action, 0, 8, 0, 0) != 0) fail("rt_sigaction failed");
	end_ns = nanoseconds() + INTERVAL_us * 1000ul * ASKED + INTERVAL_us * 500ul;
	if (syscall3(SYS_setitimer, 0 /* ITIMER_REAL */, interval, 0) != 0) fail("setitimer failed");
	double x = 0.5;
	while (!stop)
		for (u32 n = 0; n < 1000000; n++) x = x * x - 1.25 + 1.0 / (x + 3);
	char line[48], *at = line;
	memcpy(at, "ticks ", 6);
	at = put_number(at + 6, ASKED, 10, 1);
	*at++ = ' ';
	at = put_number(at, delivered, 10, 1);
	*at++ = '\n';
	syscall3(SYS_write, 1, line, at - line);
	exit(x == x ? 0 : 1);
}

u64 iteration(void) {
	return 0;
}
