// Timer interrupts that reach a guest while it runs a long loop without system calls: an interval timer of 4 ms asks for 250 signals in a
// second. Prints "NAME ASKED DELIVERED" and not the line of the other programs. A program defines its name and its loop.
#include "bench.h"

// Works for some milliseconds at most, and returns something that depends on all of it.
static u64 loop(u64 value);

enum { SYS_setitimer = 38, SIGALRM = 14, SA_RESTORER = 0x04000000, INTERVAL_us = 4000, ASKED = 250 };
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
	u64 value = 1;
	while (!stop) value = loop(value);
	char line[64], *at = line;
	memcpy(at, name, length(name));
	at += length(name);
	*at++ = ' ';
	at = put_number(at, ASKED, 10, 1);
	*at++ = ' ';
	at = put_number(at, delivered, 10, 1);
	*at++ = '\n';
	syscall3(SYS_write, 1, line, at - line);
	exit(value != 0 ? 0 : 1);
}

u64 iteration(void) {
	return 0;
}
