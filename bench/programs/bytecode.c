// A small register machine interpreted with computed jumps: an indirect branch for each of its instructions.
#include "bench.h"

enum op { SET, ADD, SUB, MULTIPLY, SHIFT_RIGHT, AND, XOR, LOAD, STORE, JUMP, JUMP_ZERO, JUMP_LESS, STOP };
struct instruction {
	u8 op, to, a, b;
	i64 value;
};

const char name[] = "bytecode";
static u64 memory[256];

// For every start below r7: the length of its Collatz sequence, counted in a table and summed.
static const struct instruction program[] = {
	/* 0 */ {SET, 0, 0, 0, 1}, // start
	/* 1 */ {SET, 5, 0, 0, 0}, // sum
	/* 2 */ {SET, 6, 0, 0, 1}, // one
	/* 3 */ {SET, 7, 0, 0, 1200},
	/* 4 */ {SET, 8, 0, 0, 3},
	/* 5 */ {SET, 9, 0, 0, 255},
	/* 6 */ {SET, 1, 0, 0, 0}, // length
	/* 7 */ {SHIFT_RIGHT, 2, 0, 0, 0}, // n
	/* 8 */ {SUB, 3, 2, 6, 0},
	/* 9 */ {JUMP_ZERO, 0, 3, 0, 17},
	/* 10 */ {ADD, 1, 1, 6, 0},
	/* 11 */ {AND, 3, 2, 6, 0},
	/* 12 */ {JUMP_ZERO, 0, 3, 0, 16},
	/* 13 */ {MULTIPLY, 2, 2, 8, 0},
	/* 14 */ {ADD, 2, 2, 6, 0},
	/* 15 */ {JUMP, 0, 0, 0, 8},
	/* 16 */ {SHIFT_RIGHT, 2, 2, 0, 1},
	/* 17 */ {JUMP_LESS, 0, 6, 2, 8}, // while 1 < n
	/* 18 */ {AND, 3, 1, 9, 0},
	/* 19 */ {LOAD, 4, 3, 0, 0},
	/* 20 */ {ADD, 4, 4, 6, 0},
	/* 21 */ {STORE, 4, 3, 0, 0},
	/* 22 */ {XOR, 5, 5, 1, 0},
	/* 23 */ {ADD, 5, 5, 4, 0},
	/* 24 */ {ADD, 0, 0, 6, 0},
	/* 25 */ {JUMP_LESS, 0, 0, 7, 6},
	/* 26 */ {STOP, 0, 0, 0, 0},
};

void setup(void) {}

static u64 interpret(u64 *r) {
	static const void *const labels[] = {&&set, &&add, &&sub, &&multiply, &&shift_right, &&and, &&xor, &&load, &&store, &&jump, &&jump_zero,
		&&jump_less, &&stop};
	const struct instruction *at = program;
	u64 count = 0;
#define NEXT \
	do { \
		count++; \
		goto *labels[at->op]; \
	} while (0)
	NEXT;
set: r[at->to] = at->value; at++; NEXT;
add: r[at->to] = r[at->a] + r[at->b]; at++; NEXT;
sub: r[at->to] = r[at->a] - r[at->b]; at++; NEXT;
multiply: r[at->to] = r[at->a] * r[at->b]; at++; NEXT;
shift_right: r[at->to] = r[at->a] >> at->value; at++; NEXT;
and: r[at->to] = r[at->a] & r[at->b]; at++; NEXT;
xor: r[at->to] = r[at->a] ^ r[at->b]; at++; NEXT;
load: r[at->to] = memory[r[at->a] & 255]; at++; NEXT;
store: memory[r[at->a] & 255] = r[at->to]; at++; NEXT;
jump: at = program + at->value; NEXT;
jump_zero: at = r[at->a] == 0 ? program + at->value : at + 1; NEXT;
jump_less: at = r[at->a] < r[at->b] ? program + at->value : at + 1; NEXT;
stop: return count;
}

u64 iteration(void) {
	u64 registers[16] = {0};
	memset(memory, 0, sizeof memory);
	u64 sum = checksum(CHECKSUM_START, interpret(registers));
	for (u32 n = 0; n < 256; n++) sum = checksum(sum, memory[n]);
	return checksum(sum, registers[5]);
}
