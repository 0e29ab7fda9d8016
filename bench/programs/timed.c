// Runs a real program, and times it from fork to wait:
//
//   timed NAME RUNS OUTPUT COMMAND [ARGUMENT...]
//
// prints the line of the other programs, whose checksum is of what the command wrote to the file OUTPUT. With 0 runs the command runs once,
// writes where this program does, and measures itself.
#include "bench.h"

const char name[] = "timed";
enum { SYS_open = 2, SYS_close = 3, SYS_dup2 = 33, O_RDONLY = 0, O_CREAT_WRONLY_TRUNC = 01101 };
// Neither language nor configuration of the host's.
static const char *const environment[] = {"LC_ALL=C", "OPENSSL_CONF=/dev/null", 0};

static void run_command(const char *output, char **command) {
	i64 pid = syscall3(SYS_fork, 0, 0, 0);
	if (pid == 0) {
		if (output) {
			i64 file = syscall3(SYS_open, output, O_CREAT_WRONLY_TRUNC, 0600);
			if (file < 0 || syscall3(SYS_dup2, file, 1, 0) < 0) fail("the output could not be opened");
		}
		syscall3(SYS_execve, command[0], command, environment);
		fail("the command could not be executed");
	}
	reap(pid);
}

static u64 checksum_of_file(const char *path) {
	static u8 buffer[65536];
	u64 sum = CHECKSUM_START;
	i64 file = syscall3(SYS_open, path, O_RDONLY, 0), size;
	if (file < 0) fail("there is no output");
	while ((size = syscall3(SYS_read, file, buffer, sizeof buffer)) > 0)
		for (i64 n = 0; n < size; n++) sum = checksum(sum, buffer[n]);
	if (size < 0) fail("the output could not be read");
	syscall3(SYS_close, file, 0, 0);
	return sum;
}

void setup(void) {
	if (argument_count < 5) fail("usage: timed NAME RUNS OUTPUT COMMAND [ARGUMENT...]");
	const char *output = arguments[3];
	char **command = arguments + 4;
	u64 runs = decimal(arguments[2]), first_ns = 0, all_ns = 0, expected = 0;
	if (runs == 0) run_command(0, command);
	for (u64 n = 0; n < runs; n++) {
		u64 start = nanoseconds();
		run_command(output, command);
		u64 taken = nanoseconds() - start, sum = checksum_of_file(output);
		if (n > 0 && sum != expected) fail("two runs differ");
		if (n == 0) first_ns = taken;
		expected = sum;
		all_ns += taken;
	}
	// The first run warms up, if there is another.
	if (runs == 1) report(arguments[1], expected, 1, all_ns, 1, all_ns);
	if (runs > 1) report(arguments[1], expected, runs - 1, all_ns - first_ns, runs, all_ns);
	exit(0);
}

u64 iteration(void) {
	return 0;
}
