/*
 * Runs instruction cases on the real processor, for tests/isa.
 *
 * stdin:  any number of cases, each a `struct request` followed by `code_length` bytes of code and `patches` patches.
 * stdout: one `struct reply` per case, followed by its patches (the bytes of the data region that the case changed).
 *
 * A case always ends in an exception: #BP from the int3 that fills the rest of the code pages, or whatever the instruction raised.
 * The handler copies the interrupted state from the ucontext and makes the signal return to the harness instead.
 *
 * CODE_VA, CODE_SIZE, DATA_VA, DATA_SIZE, READ_ONLY_OFFSET, HIGH_VA, FS_BASE, GS_BASE, GS32_BASE come from memory_map.ts by -D.
 * The handlers touch no thread-local storage before FS is restored: compile with -fno-stack-protector.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define FX_SIZE 416
#define USER_CS32 0x23
#define USER_DS 0x2b
#define USER_CS64 0x33
#define TLS_INDEX 12
#define HWCAP2_FSGSBASE_BIT 2
#define VECTOR_DEBUG 1
/* A case that runs for two ticks hangs. */
#define TICK_US 50000
#define VECTOR_HANG 255

/* Layout of STATE in tests/isa/state.ts. */
struct state {
	uint64_t gpr[16]; /* encoding order */
	uint64_t rflags;
	uint64_t rip;
	uint16_t selectors[6]; /* ES CS SS DS FS GS; of a request only CS counts: 0x23 or 0x33 */
	uint16_t pad[2];
	uint8_t fx[FX_SIZE]; /* the first 416 bytes of an FXSAVE64 image */
};

struct request {
	struct state state;
	uint16_t code_length;
	uint16_t patches;
	uint32_t writable_code; /* the case writes to its own code */
};

struct patch {
	uint16_t offset; /* in the data region */
	uint16_t length; /* followed by that many bytes */
};

struct reply {
	struct state state;
	uint32_t vector;
	uint32_t error;
	uint64_t cr2;
	uint32_t patches;
	uint32_t pad;
};

/* What the trampoline loads; its offsets are written out in `enter`. */
struct launch {
	uint8_t fx[512];
	uint64_t pops[15]; /* 512: r15 .. r8, rdi, rsi, rbp, rbx, rdx, rcx, rax */
	uint64_t rflags;   /* 632: last, so that a case with TF traps seldom on its way */
	uint64_t rsp;	   /* 640 */
	uint32_t target;   /* 648: far pointer m16:32 */
	uint16_t target_cs;
	uint16_t data_selector; /* 654: DS and ES */
	uint16_t gs_selector;	/* 656 */
};

__attribute__((aligned(64))) struct launch launch;
uint64_t harness_rsp;
extern void enter(void), resume(void);

/* `arrived`: the first instruction of a case with TF is about to run. */
static volatile sig_atomic_t running, arrived;
static volatile unsigned long case_number, case_at_last_tick;
static uint64_t harness_fs;
static struct reply reply;
static const int greg_of_gpr[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static const uint8_t pop_of_gpr[16] = {14, 13, 12, 11, 255, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};

#define STRING(x) #x
#define NUMBER(x) STRING(x)
asm(".text\n"
    ".globl enter, resume\n"
    "enter:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, harness_rsp(%rip)\n"
    "	lea launch(%rip), %rdi\n"
    "	fxrstor64 (%rdi)\n"
    "	movzwl 654(%rdi), %eax; mov %eax, %ds; mov %eax, %es\n"
    "	movzwl 656(%rdi), %eax; mov %eax, %gs\n"
    "	test %eax, %eax; jnz 1f\n"
    "	movabs $" NUMBER(GS_BASE) ", %rax; wrgsbase %rax\n"
    "1:	xor %eax, %eax; mov %eax, %fs; movabs $" NUMBER(FS_BASE) ", %rax; wrfsbase %rax\n"
    "	lea 512(%rdi), %rsp\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8\n"
    "	pop %rdi; pop %rsi; pop %rbp; pop %rbx; pop %rdx; pop %rcx; pop %rax\n"
    "	popfq\n"
    "	mov launch+640(%rip), %rsp\n"
    "	ljmpl *launch+648(%rip)\n"
    "resume:\n"
    "	mov harness_rsp(%rip), %rsp\n"
    "	cld; fninit; pushq $0x1f80; ldmxcsr (%rsp); add $8, %rsp\n"
    "	xor %eax, %eax; mov %eax, %ds; mov %eax, %es\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

static void die(const char *what)
{
	dprintf(2, "native harness: %s (errno %d) in case %lu\n", what, errno, case_number);
	_exit(3);
}

static void restore_fs(void)
{
	asm volatile("mov %0, %%fs; wrfsbase %1" : : "r"(0), "r"(harness_fs));
}

/* Copies the interrupted state into `reply` and lets the signal return to `resume`. */
static void capture(ucontext_t *context, uint32_t vector)
{
	greg_t *greg = context->uc_mcontext.gregs;
	uint16_t selector;

	for (int i = 0; i < 16; i++)
		reply.state.gpr[i] = greg[greg_of_gpr[i]];
	reply.state.rflags = greg[REG_EFL];
	reply.state.rip = greg[REG_RIP];
	asm volatile("mov %%es, %0" : "=r"(selector));
	reply.state.selectors[0] = selector;
	asm volatile("mov %%ds, %0" : "=r"(selector));
	reply.state.selectors[3] = selector;
	reply.state.selectors[1] = greg[REG_CSGSFS];
	reply.state.selectors[2] = greg[REG_CSGSFS] >> 48;
	asm volatile("mov %%fs, %0" : "=r"(selector));
	reply.state.selectors[4] = selector;
	asm volatile("mov %%gs, %0" : "=r"(selector));
	reply.state.selectors[5] = selector;
	for (int i = 0; i < FX_SIZE; i++)
		reply.state.fx[i] = ((uint8_t *)context->uc_mcontext.fpregs)[i];
	reply.vector = vector;
	reply.error = greg[REG_ERR];
	reply.cr2 = vector == 14 ? greg[REG_CR2] : 0;

	restore_fs();
	running = 0;
	greg[REG_RIP] = (greg_t)resume;
	greg[REG_EFL] = 2;
	greg[REG_CSGSFS] = (greg[REG_CSGSFS] & 0x0000ffffffff0000) | USER_CS64 | ((greg_t)USER_DS << 48);
}

static void on_exception(int signal, siginfo_t *info, void *context)
{
	const greg_t *greg = ((ucontext_t *)context)->uc_mcontext.gregs;
	(void)signal;
	(void)info;
	if (!running) {
		restore_fs();
		die("an exception outside a case");
	}
	/* With TF in a case's flags the trampoline traps too, last when it has arrived. */
	if (greg[REG_TRAPNO] == VECTOR_DEBUG && !arrived) {
		arrived = greg[REG_RIP] == launch.target;
		return;
	}
	capture(context, greg[REG_TRAPNO]);
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
	uint64_t rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	(void)signal;
	(void)info;
	if (running && case_number == case_at_last_tick && rip - CODE_VA < CODE_SIZE)
		capture(context, VECTOR_HANG);
	case_at_last_tick = case_number;
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
	if (sigaction(signal, &action, NULL))
		die("sigaction");
}

static void install_handlers(void)
{
	stack_t stack = {.ss_size = 1 << 16, .ss_sp = malloc(1 << 16)};
	struct itimerval interval = {{0, TICK_US}, {0, TICK_US}};
	if (sigaltstack(&stack, NULL))
		die("sigaltstack");
	install(SIGTRAP, on_exception);
	install(SIGSEGV, on_exception);
	install(SIGBUS, on_exception);
	install(SIGILL, on_exception);
	install(SIGFPE, on_exception);
	install(SIGALRM, on_tick);
	setitimer(ITIMER_REAL, &interval, NULL);
}

static uint8_t *map_at(uint64_t va, size_t size, int protection, int file, off_t offset)
{
	/* Populated: a write to a read-only page must find it present. */
	int how = MAP_SHARED | MAP_POPULATE | (va ? MAP_FIXED_NOREPLACE : 0);
	void *at = mmap((void *)va, size, protection, how, file, offset);
	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

/* GDT entry 12 (selector 0x63) as a flat segment with base GS32_BASE, through the 32-bit system call that 32-bit C libraries use. */
static int set_gs32(void)
{
	static struct user_desc *descriptor;
	long result;
	descriptor = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (descriptor == MAP_FAILED)
		return -1;
	*descriptor = (struct user_desc){
	    .entry_number = TLS_INDEX, .base_addr = GS32_BASE, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
	asm volatile("int $0x80" : "=a"(result) : "a"(243), "b"(descriptor) : "memory", "r8", "r9", "r10", "r11");
	munmap(descriptor, 4096);
	return result;
}

static void read_exactly(void *to, size_t size)
{
	if (fread(to, 1, size, stdin) != size)
		die("a case is cut short");
}

static void prepare(const struct request *request)
{
	const struct state *state = &request->state;
	int compat = state->selectors[1] == USER_CS32;
	memcpy(launch.fx, state->fx, FX_SIZE);
	launch.rflags = state->rflags;
	for (int i = 0; i < 16; i++)
		if (pop_of_gpr[i] < 15)
			launch.pops[pop_of_gpr[i]] = state->gpr[i];
	launch.rsp = state->gpr[4];
	launch.target = state->rip;
	launch.target_cs = state->selectors[1];
	launch.data_selector = compat ? USER_DS : 0;
	launch.gs_selector = compat ? TLS_INDEX << 3 | 3 : 0;
	memset(&reply, 0, sizeof reply);
}

static void send_changes(const uint8_t *before, const uint8_t *after)
{
	static uint8_t runs[2 * DATA_SIZE * 5];
	size_t size = 0;
	for (uint32_t i = 0; i < DATA_SIZE;) {
		if (i % 64 == 0 && !memcmp(before + i, after + i, 64)) {
			i += 64;
			continue;
		}
		if (before[i] == after[i]) {
			i++;
			continue;
		}
		struct patch patch = {i, 0};
		while (i < DATA_SIZE && before[i] != after[i])
			i++, patch.length++;
		memcpy(runs + size, &patch, sizeof patch);
		memcpy(runs + size + sizeof patch, after + patch.offset, patch.length);
		size += sizeof patch + patch.length;
		reply.patches++;
	}
	fwrite(&reply, sizeof reply, 1, stdout);
	fwrite(runs, 1, size, stdout);
}

int main(void)
{
	static uint8_t initial[DATA_SIZE], background[DATA_SIZE];
	struct request request;
	struct patch patch;
	uint32_t writable_code = 0;
	int code_file = memfd_create("code", 0), data_file = memfd_create("data", 0);

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		die("the kernel does not let programs write the FS base");
	if (ftruncate(code_file, CODE_SIZE) || ftruncate(data_file, DATA_SIZE))
		die("ftruncate");
	uint8_t *code = map_at(0, CODE_SIZE, PROT_READ | PROT_WRITE, code_file, 0);
	uint8_t *data = map_at(0, DATA_SIZE, PROT_READ | PROT_WRITE, data_file, 0);
	map_at(CODE_VA, CODE_SIZE, PROT_READ | PROT_EXEC, code_file, 0);
	for (int i = 0; i < 2; i++) {
		uint64_t va = i ? HIGH_VA : DATA_VA;
		map_at(va, READ_ONLY_OFFSET, PROT_READ | PROT_WRITE, data_file, 0);
		map_at(va + READ_ONLY_OFFSET, DATA_SIZE - READ_ONLY_OFFSET, PROT_READ, data_file, READ_ONLY_OFFSET);
	}
	memset(code, 0xcc, CODE_SIZE);
	asm volatile("rdfsbase %0" : "=r"(harness_fs));
	install_handlers();
	int gs32 = set_gs32();

	/* The stream starts with the data region's background. */
	read_exactly(background, DATA_SIZE);
	memcpy(data, background, DATA_SIZE);
	while (fread(&request, sizeof request, 1, stdin) == 1) {
		uint32_t at = request.state.rip - CODE_VA;
		if (at > CODE_SIZE || request.code_length > CODE_SIZE - at)
			die("code outside the code region");
		if (gs32 && request.state.selectors[1] == USER_CS32)
			die("no 32-bit system calls here, so no segment for GS");
		read_exactly(code + at, request.code_length);
		memcpy(initial, background, DATA_SIZE);
		for (int i = 0; i < request.patches; i++) {
			read_exactly(&patch, sizeof patch);
			if (patch.offset + patch.length > DATA_SIZE)
				die("a patch outside the data region");
			read_exactly(initial + patch.offset, patch.length);
		}
		memcpy(data, initial, DATA_SIZE);
		prepare(&request);
		if (request.writable_code != writable_code) {
			writable_code = request.writable_code;
			if (mprotect((void *)CODE_VA, CODE_SIZE, PROT_READ | PROT_EXEC | (writable_code ? PROT_WRITE : 0)))
				die("mprotect");
			/* Present, as with read-only pages: a fault must not depend on what was touched. */
			if (writable_code)
				for (int i = 0; i < CODE_SIZE; i += 4096)
					*(volatile uint8_t *)(CODE_VA + i) = *(volatile uint8_t *)(CODE_VA + i);
		}
		case_number++;
		arrived = 0;
		running = 1;
		enter();
		send_changes(initial, data);
		if (writable_code)
			memset(code, 0xcc, CODE_SIZE);
		else
			memset(code + at, 0xcc, request.code_length);
	}
	return 0;
}
