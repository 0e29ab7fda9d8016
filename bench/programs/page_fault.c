// Fresh memory, touched page by page and given back.
#include "bench.h"

enum { PAGES = 256, PAGE = 4096 };
const char name[] = "page_fault";

void setup(void) {}

u64 iteration(void) {
	u8 *memory = (u8 *)syscall6(SYS_mmap, 0, PAGES * PAGE, 3 /* read, write */, 0x22 /* private, anonymous */, -1, 0);
	if ((i64)memory < 0 && (i64)memory > -4096) fail("mmap failed");
	for (u32 page = 0; page < PAGES; page++) memory[page * PAGE] = page;
	u64 sum = 0;
	for (u32 page = 0; page < PAGES; page++) sum += memory[page * PAGE] + memory[page * PAGE + 1];
	if (syscall3(SYS_munmap, memory, PAGES * PAGE, 0) != 0) fail("munmap failed");
	return sum;
}
