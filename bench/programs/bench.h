// What a benchmark program is made of. It has no C library, so that one static executable runs natively, in a guest, and on the bare
// processor of flat_machine.ts. A program defines the names below; runtime.c has the rest.
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

// Defined by the program: its name; what it does once, before the clock runs; and the work that is timed. Each iteration does the same
// work from the same start and returns the same checksum, so that runs of any length, on any processor, can be compared.
extern const char name[];
void setup(void);
u64 iteration(void);

// Path of the running executable, and all of its arguments, that path first.
extern const char *executable;
extern u64 argument_count;
extern char **arguments;

void *memset(void *to, int byte, u64 size);
void *memcpy(void *to, const void *from, u64 size);
int memcmp(const void *a, const void *b, u64 size);
__attribute__((noreturn)) void exit(int status);
__attribute__((noreturn)) void fail(const char *what);
u64 nanoseconds(void);
u64 length(const char *text);
// Fails when the text is not a decimal number.
u64 decimal(const char *text);
// Prints the line described in runtime.c.
void report(const char *of, u64 sum, u64 iterations, u64 time_ns, u64 every_iteration, u64 every_ns);
// Writes at least `width` digits, and returns where they end.
char *put_number(char *at, u64 value, u32 base, u32 width);

static inline i64 syscall6(i64 number, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
	register i64 r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
	i64 result;
	asm volatile("syscall"
				 : "=a"(result)
				 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
				 : "rcx", "r11", "memory");
	return result;
}
#define syscall3(number, a, b, c) syscall6(number, (i64)(a), (i64)(b), (i64)(c), 0, 0, 0)

enum {
	SYS_read = 0,
	SYS_write = 1,
	SYS_mmap = 9,
	SYS_munmap = 11,
	SYS_rt_sigaction = 13,
	SYS_pipe = 22,
	SYS_sched_yield = 24,
	SYS_getpid = 39,
	SYS_fork = 57,
	SYS_execve = 59,
	SYS_exit = 60,
	SYS_wait4 = 61,
	SYS_kill = 62,
	SYS_getppid = 110,
	SYS_prctl = 157,
	SYS_sched_setaffinity = 203,
	SYS_clock_gettime = 228,
	SYS_exit_group = 231,
	SYS_getcpu = 309,
};

// Forks a child that dies with this process. Returns as fork() does.
i64 fork_helper(void);
// Keeps this process and its children on the CPU where it runs, for programs that measure switches between processes.
void stay_on_one_cpu(void);
// Waits for a child; fails unless it exited with 0.
void reap(i64 pid);

// Marsaglia's xorshift64.
static inline u64 random_next(u64 *state) {
	u64 x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

// FNV-1a over 64-bit words.
#define CHECKSUM_START 0xcbf29ce484222325ul
static inline u64 checksum(u64 sum, u64 value) {
	return (sum ^ value) * 0x100000001b3ul;
}

static inline u64 bits_of(double value) {
	union {
		double value;
		u64 bits;
	} both = {value};
	return both.bits;
}

#endif
