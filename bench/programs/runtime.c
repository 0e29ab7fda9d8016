// Entry, arguments and timing of every program:
//
//   PROGRAM COUNT   runs that many iterations
//   PROGRAM -t MS   runs as many as take about that many milliseconds on this processor
//   PROGRAM exit    exits at once (what fork_exec executes)
//
// and prints "bench NAME ITERATIONS NANOSECONDS CHECKSUM ITERATIONS NANOSECONDS": of the last iterations, which begin when it is known how many
// take the time; then of all from the program's start.
#include "bench.h"

const char *executable;
u64 argument_count;
char **arguments;

asm(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");

// Words at a time and without REP: string instructions are fast on some processors and slow on others, and none of the programs is about
// them.
void *memset(void *to, int byte, u64 size) {
	u8 *at = to;
	u64 word = (u8)byte * 0x0101010101010101ul;
	for (; size >= 8; size -= 8, at += 8) *(u64 *)at = word;
	for (; size > 0; size--) *at++ = byte;
	return to;
}

void *memcpy(void *to, const void *from, u64 size) {
	u8 *at = to;
	const u8 *source = from;
	for (; size >= 8; size -= 8, at += 8, source += 8) *(u64 *)at = *(const u64 *)source;
	for (; size > 0; size--) *at++ = *source++;
	return to;
}

int memcmp(const void *a, const void *b, u64 size) {
	const u8 *x = a, *y = b;
	for (; size > 0; size--, x++, y++)
		if (*x != *y) return *x - *y;
	return 0;
}

u64 length(const char *text) {
	u64 n = 0;
	while (text[n]) n++;
	return n;
}

void exit(int status) {
	for (;;) syscall3(SYS_exit_group, status, 0, 0);
}

void fail(const char *what) {
	syscall3(SYS_write, 2, name, length(name));
	syscall3(SYS_write, 2, ": ", 2);
	syscall3(SYS_write, 2, what, length(what));
	syscall3(SYS_write, 2, "\n", 1);
	exit(1);
}

u64 nanoseconds(void) {
	u64 time[2];
	if (syscall3(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, time, 0) != 0) fail("clock_gettime failed");
	return time[0] * 1000000000ul + time[1];
}

i64 fork_helper(void) {
	i64 pid = syscall3(SYS_fork, 0, 0, 0);
	if (pid < 0) fail("fork failed");
	if (pid == 0) syscall3(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, 9 /* SIGKILL */, 0);
	return pid;
}

void stay_on_one_cpu(void) {
	u64 mask[16] = {0};
	u32 cpu = 0;
	syscall3(SYS_getcpu, &cpu, 0, 0);
	mask[cpu / 64 % 16] = 1ul << cpu % 64;
	if (syscall3(SYS_sched_setaffinity, 0, sizeof mask, mask) < 0) fail("sched_setaffinity failed");
}

void reap(i64 pid) {
	u32 status = 0;
	if (pid < 0) fail("fork failed");
	if (syscall6(SYS_wait4, pid, (i64)&status, 0, 0, 0, 0) != pid) fail("wait4 failed");
	if (status != 0) fail("a child failed");
}

static u64 expected, all_iterations, all_ns;

static u64 run(u64 count) {
	u64 start = nanoseconds();
	for (u64 n = 0; n < count; n++) {
		u64 sum = iteration();
		if (all_iterations + n > 0 && sum != expected) fail("two iterations differ");
		expected = sum;
	}
	u64 taken = nanoseconds() - start;
	all_iterations += count;
	all_ns += taken;
	return taken;
}

u64 decimal(const char *text) {
	u64 value = 0;
	if (!*text) fail("a number is missing");
	for (; *text; text++) {
		if (*text < '0' || *text > '9') fail("usage: COUNT | -t MILLISECONDS | exit");
		value = value * 10 + (*text - '0');
	}
	return value;
}

char *put_number(char *at, u64 value, u32 base, u32 width) {
	char digits[24];
	u32 n = 0;
	do digits[n++] = "0123456789abcdef"[value % base];
	while ((value /= base) != 0 || n < width);
	while (n > 0) *at++ = digits[--n];
	return at;
}

static char *put_field(char *at, u64 value, u32 base, u32 width) {
	*at++ = ' ';
	return put_number(at, value, base, width);
}

void report(const char *of, u64 sum, u64 iterations, u64 time_ns, u64 every_iteration, u64 every_ns) {
	char line[256], *at = line;
	if (length(of) > 32) fail("the name is too long");
	memcpy(at, "bench ", 6);
	memcpy(at += 6, of, length(of));
	at = put_field(at + length(of), iterations, 10, 1);
	at = put_field(at, time_ns, 10, 1);
	at = put_field(at, sum, 16, 16);
	at = put_field(at, every_iteration, 10, 1);
	at = put_field(at, every_ns, 10, 1);
	*at++ = '\n';
	syscall3(SYS_write, 1, line, at - line);
}

// Doubles the count until it takes an eighth of the time; then runs as many as fit.
static void run_for(u64 time_ns) {
	u64 count = 1, taken = run(1);
	while (taken < time_ns / 8) taken = run(count *= 2);
	if (taken < time_ns / 2) {
		count = count * time_ns / (taken + 1);
		taken = run(count);
	}
	report(name, expected, count, taken, all_iterations, all_ns);
}

__attribute__((noreturn, used)) void start(u64 *stack) {
	char **argv = arguments = (char **)(stack + 1);
	argument_count = stack[0];
	if (argument_count < 2) fail("usage: COUNT | -t MILLISECONDS | exit");
	executable = argv[0];
	if (length(argv[1]) == 4 && memcmp(argv[1], "exit", 4) == 0) exit(0);
	setup();
	if (argv[1][0] == '-') {
		if (argument_count < 3) fail("usage: COUNT | -t MILLISECONDS | exit");
		run_for(decimal(argv[2]) * 1000000ul);
	} else {
		u64 count = decimal(argv[1]);
		u64 taken = run(count);
		report(name, expected, count, taken, count, taken);
	}
	exit(0);
}
