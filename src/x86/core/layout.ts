// Offsets shared by the WebAssembly core (AssemblyScript) and its host (TypeScript).
// The only place where an address of processor state is written. Plain integer constants, so that both compilers read the same file.
//
// Rule: every multi-byte field is naturally aligned; all are little endian. "slot" is a byte offset into the general slots, i.e. 8 * index.

// ---- vCPU state block, relative to the vCPU's state base -------------------------------------------------------------

/** General slots: 32 x u64. 0..15 RAX,RCX,RDX,RBX,RSP,RBP,RSI,RDI,R8..R15. */
export const CPU_GPR = 0x000;
/** Slot that always reads zero (absent base or index, flat segment). */
export const SLOT_ZERO = 0x80;
/** Slot holding the linear address of the page that the current instruction stream runs in (RIP-relative operands). */
export const SLOT_PAGE = 0x88;
export const SLOT_FS_BASE = 0x90;
export const SLOT_GS_BASE = 0x98;
/** Effective address computed by an EA micro-record (32-bit addressing, segments with a base in compatibility mode). */
export const SLOT_EA = 0xa0;
/** Bases of ES, CS, SS, DS as loaded (0 in 64-bit mode). */
export const SLOT_ES_BASE = 0xa8;
export const SLOT_CS_BASE = 0xb0;
export const SLOT_SS_BASE = 0xb8;
export const SLOT_DS_BASE = 0xc0;

/** u64. Valid whenever run() or step() has returned. */
export const CPU_RIP = 0x100;
/** u64, as PUSHFQ would store it. Valid whenever run() or step() has returned. */
export const CPU_RFLAGS = 0x108;
/** 6 x u16 selectors in encoding order: ES CS SS DS FS GS. */
export const CPU_SELECTORS = 0x110;
/** u32: 1 = 64-bit code, 0 = 32-bit compatibility code. */
export const CPU_CODE64 = 0x11c;
/** u64: the base swapped with GS.base on a mode switch. Kept here, used by the hypervisor. */
export const CPU_KERNEL_GS_BASE = 0x120;

/** u32: 1 while the guest kernel's page tables and TLB are in use, 0 for the guest user's. */
export const CPU_KERNEL_MODE = 0x128;
/** u32: mfn of the kernel's L4. */
export const CPU_CR3_KERNEL = 0x12c;
/** u32: mfn of the user's L4 (0: none). */
export const CPU_CR3_USER = 0x130;
/** u32: CR0 bits the core honours: TS (0x8) and EM (0x4), others informative. */
export const CPU_CR0 = 0x134;
/** u32: CR4, informative except OSFXSR|OSXMMEXCPT. */
export const CPU_CR4 = 0x138;

/** u32: vector of the exception or software interrupt that run() returned for. */
export const CPU_EXC_VECTOR = 0x140;
/** u32: its error code (0 where the vector has none). */
export const CPU_EXC_ERROR = 0x144;
/** u64: faulting linear address of a page fault. */
export const CPU_CR2 = 0x148;
/** u32: byte length of the instruction that run() returned for (0 unknown). */
export const CPU_INSN_LENGTH = 0x150;
/** u32: operation of EXIT_PRIVILEGED, a PRIV_* number. */
export const CPU_PRIV_OP = 0x154;
/** u32: its register operand: GPR index for MOV CR/DR (CPU_PRIV_REG = control/debug register number in bits 8..11). */
export const CPU_PRIV_REG = 0x158;
/** u32: operand size in bytes for IN/OUT/INS/OUTS. */
export const CPU_PRIV_SIZE = 0x15c;
/** u32: immediate port number (IN/OUT imm8), or 0xffffffff when the port is in DX. */
export const CPU_PRIV_PORT = 0x160;

/** u32, shared between threads: non-zero asks run() to return at its next check. Cleared by the vCPU's own thread before it looks for work. */
export const CPU_ATTENTION = 0x168;
/** u64: instructions retired since the vCPU was made (approximate inside one run). */
export const CPU_ICOUNT = 0x170;
/** u64 DR0..DR3, DR6, DR7. */
export const CPU_DR = 0x178;
/** u32: host address of each of the 16 GDT pages, 0 when absent. */
export const CPU_GDT_FRAMES = 0x1a8;
/** u32: GDT limit in bytes - 1. */
export const CPU_GDT_LIMIT = 0x1e8;
/** u32: LDT linear limit in bytes - 1 (0: none); the LDT's base is linear and read through the kernel's page tables. */
export const CPU_LDT_LIMIT = 0x1ec;
/** u64: LDT linear base. */
export const CPU_LDT_BASE = 0x1f0;

/** x87: 8 physical registers of 16 bytes {u64 significand, u16 sign:exponent, pad}; index with (TOP + i) & 7. */
export const CPU_X87 = 0x200;
/** u16 control word, u16 status word (TOP in bits 11..13), u8 tag (1 bit a physical register, 1 = valid, as FXSAVE), u16 opcode. */
export const CPU_FCW = 0x280;
export const CPU_FSW = 0x282;
export const CPU_FTW = 0x284;
export const CPU_FOP = 0x286;
/** u64 last x87 instruction pointer and data pointer. */
export const CPU_FIP = 0x288;
export const CPU_FDP = 0x290;
/** u32. */
export const CPU_MXCSR = 0x298;
/** 16 x 16 bytes. */
export const CPU_XMM = 0x300;
/** 64 bytes: bounce buffer of an access that crosses a page. */
export const CPU_SPLIT_BUFFER = 0x400;
/** u32: how a translated region ended, an outcome of core/execute.ts; u32: the record that it ended at. */
export const CPU_REGION_STATUS = 0x440;
export const CPU_REGION_RECORD = 0x444;
/** u32: the table's index of the region that was called last. The host may clear it. */
export const CPU_REGION_LAST = 0x448;
/** u32: tables of the mode in use and the generation of its jump cache, for translated regions: copies of what core/state.ts has. */
export const CPU_TLB_READ = 0x44c;
export const CPU_TLB_WRITE = 0x450;
export const CPU_JUMP_GENERATION = 0x454;
/** u32, u32: of the translated region that runs: 0, or all bits but the lowest where its fast paths for numbers may not run; and 0x40000000, or 0 there. */
export const CPU_SSE_SLOW = 0x458;
export const CPU_SSE_MODERATE = 0x45c;
/** u32: the table's index of the region whose accesses findSpan() (core/mmu.ts) has refused last. */
export const CPU_REGION_REFUSED = 0x460;
/** u32 each: host addresses of pages that loops of the translated region that runs know without asking for their linear addresses, or 0. */
export const CPU_PINNED_PAGES = 0x464;
export const PINNED_PAGES = 7;
/** u32, u64 x 4: the flags as flag_kinds.ts has them, between translated regions and where ways through one meet. */
export const CPU_KEPT_KIND = 0x480;
export const CPU_KEPT_A = 0x488;
export const CPU_KEPT_B = 0x490;
export const CPU_KEPT_C = 0x498;
export const CPU_KEPT_D = 0x4a0;
/** Of 16 bytes, as in a data TLB: pages that loops of the translated region that runs were in last. */
export const CPU_CARRIED_PAGES = 0x4c0;
/** Private to the core from here to CPU_STATE_SIZE. */
export const CPU_PRIVATE = 0x580;
// Ring switches that the core makes by itself (ring_switch.ts): the host's settings, relative to the vCPU's state base.
/** u32: while it is not 0, every switch is the host's to make. The bits are the host's. */
export const SWITCH_HOLD = 0x600;
/** u32: bit n: the gate of exception n masks events. */
export const SWITCH_GATE_MASKS = 0x604;
/** u32: 1 when the system call entry masks events. */
export const SWITCH_SYSCALL_MASKS = 0x608;
/** u32 host addresses of bytes: events are masked; events are pending. */
export const SWITCH_EVENT_MASK = 0x60c;
export const SWITCH_EVENT_PENDING = 0x610;
/** u32 host address of a u64: where the kernel reads the address of a page fault. */
export const SWITCH_FAULT_ADDRESS = 0x614;
/** u32 host address of 64 u32: services served, by number. */
export const SWITCH_COUNTS = 0x618;
/** u16 each: flat selectors of the kernel's code and stack, and those that stand for 64-bit user mode at a system call. */
export const SWITCH_KERNEL_CS = 0x61c;
export const SWITCH_KERNEL_SS = 0x61e;
export const SWITCH_USER_CS = 0x620;
export const SWITCH_USER_SS = 0x622;
/** u16: the code selector at which a return as SYSRET does it goes to compatibility mode. */
export const SWITCH_USER_CS32 = 0x624;
/** u64: linear address of the system call entry, 0 none. */
export const SWITCH_SYSCALL_ENTRY = 0x628;
/** u64: stack pointer of the kernel when user mode is left. */
export const SWITCH_KERNEL_SP = 0x630;
/** u64, u64: first linear address, and the first beyond it, where frames are the host's to refuse. */
export const SWITCH_HOLE_START = 0x638;
export const SWITCH_HOLE_END = 0x640;
/** 64 x u8: SERVICE_* by the number that the kernel calls it by (RAX). */
export const SWITCH_SERVICES = 0x648;
/** u32: stack selector given with SWITCH_KERNEL_SP; nothing uses it. */
export const SWITCH_STACK_SELECTOR = 0x688;
// Entries of page tables that the kernel asks to be written (table_updates.ts): what the core needs to keep the host's books of frames.
/** u32 host addresses: the books, BOOK_SIZE bytes a frame (0: all updates are the host's); the three versions of the page tables; the epoch of flushes for writing. */
export const BOOKS = 0x690;
export const BOOKS_VERSIONS = 0x694;
export const BOOKS_EPOCH = 0x698;
/** u32: how the kernel names itself as the owner of frames. */
export const BOOKS_SELF = 0x69c;
/** u64 masks of an entry's bits: those that are the host's to judge; those that concern no reference; that which marks a page as the kernel's. */
export const BOOKS_JUDGED = 0x6a0;
export const BOOKS_UNCOUNTED = 0x6a8;
export const BOOKS_KERNEL = 0x6b0;
/** 32 x u64: linear addresses of the exception handlers, 0: the host's to deliver. */
export const SWITCH_GATES = 0x700;

/** Returns by a frame of nine u64 at RSP: rax, r11, rcx, flags (0x100: as SYSRET does), rip, cs, rflags, rsp, ss. */
export const SERVICE_RETURN = 1;
/** (selector, stack pointer): sets the kernel's stack. */
export const SERVICE_STACK_SWITCH = 2;
/** (0 FS, 1 inactive GS, 2 GS; base). */
export const SERVICE_SEGMENT_BASE = 3;
/** (0 or not): clears or sets CR0.TS. */
export const SERVICE_TASK_SWITCHED = 4;
/** (linear address of requests of two u64, u32 count, u64 where to say how many were done, u32 owner): writes entries of page tables by machine address. */
export const SERVICE_UPDATE_ENTRY = 5;
/** (linear address, entry, flags): writes the entry that maps the address. */
export const SERVICE_UPDATE_MAPPING = 6;

// What the books say of a frame, u32 each.
export const BOOK_SIZE = 16;
/** Its type in bits 0..2 (BOOK_TABLE: a page table of level 1; BOOK_WRITABLE), BOOK_VALID, BOOK_HIGH; from BOOK_EPOCH_SHIFT on the epoch when it was last mapped writable. */
export const BOOK_TYPE = 0;
export const BOOK_TYPE_MASK = 7;
export const BOOK_TABLE = 1;
export const BOOK_WRITABLE = 7;
/** Its contents have been checked. */
export const BOOK_VALID = 8;
/** A page table that the upper half may lead to. */
export const BOOK_HIGH = 32;
export const BOOK_EPOCH_SHIFT = 8;
/** References that depend on the type; all references. */
export const BOOK_TYPE_COUNT = 4;
export const BOOK_COUNT = 8;
/** BOOK_OWNED: the guest's. */
export const BOOK_FLAGS = 12;
export const BOOK_OWNED = 2;

/** Counters, u64 each, for whoever asks how the processor does (x86/counters.ts). Counted by the vCPU's thread; read and cleared by any, losing a few. */
export const CPU_COUNTERS = 0xd00;
/** Translated regions entered, and instructions that retired until they were left. */
export const CNT_REGIONS = 0xd00;
export const CNT_REGION_INSTRUCTIONS = 0xd08;
/** How those were left that came back to the main loop: one for each of the six outcomes of core/execute.ts. */
export const CNT_REGION_ENDS = 0xd10;
/** TLB misses: one for each ACCESS_*. */
export const CNT_TLB_MISSES = 0xd40;
export const CNT_JUMP_CACHE_MISSES = 0xd58;
/** Traces decoded; frames whose code a write has dropped; times that the arena of decoded code was full. */
export const CNT_TRACES = 0xd60;
export const CNT_CODE_DROPS = 0xd68;
export const CNT_ARENA_EMPTIED = 0xd70;
/** Returns from run(): one for each EXIT_*. */
export const CNT_EXITS = 0xd78;
/** Exceptions: one for each vector below 32. */
export const CNT_EXCEPTIONS = 0xdb0;
/** u64: CPU_ICOUNT when the counters were cleared. */
export const CNT_SINCE = 0xeb0;
/** Times that findSpan() has refused, and a translated region was left for it. */
export const CNT_SPANS_REFUSED = 0xeb8;
/** Returns that a translated region ended with: the return stack had the region that they went to; it had not. */
export const CNT_RETURNS_REMEMBERED = 0xec0;
export const CNT_RETURNS_LOOKED_UP = 0xec8;
export const CPU_COUNTERS_END = 0xed0;
/** 64 bytes: operands and results that SSE and MMX build piecewise. */
export const CPU_SCRATCH = 0xf00;
/** u32, always zero: what a fence's read-modify-write touches. */
export const CPU_FENCE = 0xffc;
export const CPU_STATE_SIZE = 0x1000;

/** u32 at this host address, one for all vCPUs of a machine: who changes 16 bytes under LOCK holds it (1), as no host has an atomic that wide. */
export const WIDE_LOCK = 64;

// ---- record: one decoded instruction, 32 bytes ---------------------------------------------------------------------

export const REC_SIZE = 32;
/** u16: operation, an OP_* number. */
export const REC_OP = 0;
/** u8: instruction length in bytes. */
export const REC_LEN = 2;
/** u8: RF_* flags. */
export const REC_FLAGS = 3;
/** u8: slot (GPR) of the ModRM.reg operand; +1 for AH..BH. For MMX/XMM/x87/segment operands: the register's index. */
export const REC_REG = 4;
/** u8: the same for ModRM.rm when it is a register. */
export const REC_RM = 5;
/** u8: slots that add up to a memory operand's address: base + (index << scale) + disp + seg. */
export const REC_BASE = 6;
export const REC_INDEX = 7;
export const REC_SEG = 8;
export const REC_SCALE = 9;
/** u16: offset of the instruction's first byte in its page. */
export const REC_OFF = 10;
/** i32: displacement. */
export const REC_DISP = 12;
/** i64: immediate, sign- or zero-extended as the instruction says. Relative branches: target minus the page's linear address. */
export const REC_IMM = 16;
/** u32: record of the branch target inside the same page (0: not linked). */
export const REC_LINK = 24;
/** u8: operand size in bytes. */
export const REC_OPSIZE = 28;
/** u8: the ModRM byte as encoded. */
export const REC_MODRM = 29;
/** u8: the last opcode byte as encoded. */
export const REC_OPCODE = 30;
/** u8: condition code of Jcc/SETcc/CMOVcc, else free for the operation. */
export const REC_CC = 31;

export const RF_MEM = 1;
export const RF_LOCK = 2;
export const RF_REP = 4;
export const RF_REPNE = 8;
export const RF_ADDR32 = 16;
export const RF_OP16 = 32;
export const RF_REXW = 64;
/** An instruction that starts in this page and ends in the next. */
export const RF_CROSS = 128;

// ---- context: translations of one root, kept while another is in use ------------------------------------------------------

/** u32: mfn of the root (~0: none). */
export const CTX_ROOT = 0;
/** u32: versions of the page tables since which its translations hold: all, those of low addresses (bit 63 clear), those for writing. */
export const CTX_VERSION = 4;
export const CTX_LOW_VERSION = 16;
export const CTX_WRITE_VERSION = 20;
/** u32: 1 once code at low addresses has been found. */
export const CTX_LOW_CODE = 24;
/** u32: generation of its jump cache. */
export const CTX_GENERATION = 8;
/** u32: when it was last taken into use: the one used longest ago is replaced. */
export const CTX_USED = 12;
/** u32 each: slots that have been listed as filled for low addresses and for writing (more than the list is long: not all of them); 1 once one was filled for a high one. */
export const CTX_LOWS = 28;
export const CTX_WRITES = 32;
export const CTX_HIGH = 36;
/** Its tables follow. */
export const CTX_TABLES = 64;

// ---- translated region, made by the host, one for each entry point ----------------------------------------------------------

/** u64: linear page for which the pages in REGION_GOOD were found valid (~0: none), u32: the jump generation then. */
export const REGION_PAGE = 0;
export const REGION_GENERATION = 8;
/** u32: the entry's record while the region is installed, u16: the operation and u32: the link it had. */
export const REGION_ENTRY = 16;
export const REGION_OPERATION = 20;
export const REGION_LINK = 24;
/** u16: mask of pages, the entry's included. */
export const REGION_GOOD = 22;
/** u32: pages, the entry's included. */
export const REGION_PAGES = 28;
/** For each page, the entry's first: i32 its distance from the entry's in pages, u32 mfn, u32 version of the frame's code. */
export const REGION_FRAMES = 32;
export const REGION_FRAME_SIZE = 12;
/** Pages at most: bits of a mask. */
export const REGION_MAX_PAGES = 16;
export const REGION_SIZE = 224;
/** Regions' indices in the table are at most this, a mask. */
export const REGION_MAX_INDEX = 0x3fff;
/** Instructions that entering a region is charged for: it charges for its loops itself. */
export const REGION_CHARGE = 16;

// ---- why run() returned --------------------------------------------------------------------------------------------

/** The budget is spent or CPU_ATTENTION is set. */
export const EXIT_BUDGET = 0;
/** Exception CPU_EXC_VECTOR; CPU_RIP is the value to push (the instruction for a fault, the next one for a trap). */
export const EXIT_EXCEPTION = 1;
/** SYSCALL; CPU_RIP is the next instruction. RCX and R11 are not yet written. */
export const EXIT_SYSCALL = 2;
/** INT n, vector in CPU_EXC_VECTOR; CPU_RIP is the next instruction, CPU_INSN_LENGTH its length. */
export const EXIT_SOFTINT = 3;
/** CPUID; CPU_RIP is the instruction itself, CPU_INSN_LENGTH its length. */
export const EXIT_CPUID = 4;
/** A privileged instruction, PRIV_*; CPU_RIP is the instruction itself. The host emulates it or raises #GP(0). */
export const EXIT_PRIVILEGED = 5;

export const PRIV_IN = 1;
export const PRIV_OUT = 2;
export const PRIV_INS = 3;
export const PRIV_OUTS = 4;
export const PRIV_RDMSR = 5;
export const PRIV_WRMSR = 6;
export const PRIV_READ_CR = 7;
export const PRIV_WRITE_CR = 8;
export const PRIV_READ_DR = 9;
export const PRIV_WRITE_DR = 10;
export const PRIV_CLI = 11;
export const PRIV_STI = 12;
export const PRIV_HLT = 13;
export const PRIV_CLTS = 14;
export const PRIV_INVLPG = 15;
export const PRIV_WBINVD = 16;
export const PRIV_LGDT = 17;
export const PRIV_LIDT = 18;
export const PRIV_LLDT = 19;
export const PRIV_LTR = 20;
export const PRIV_LMSW = 21;
export const PRIV_SWAPGS = 22;
export const PRIV_SYSRET = 23;
export const PRIV_XSETBV = 24;
export const PRIV_RDPMC = 25;
export const PRIV_OTHER = 26;
/** XGETBV and the like that a PV guest may execute but Xen intercepts. */
export const PRIV_XGETBV = 27;

// ---- per-frame attributes, one byte a frame, shared between threads ------------------------------------------------------

/** The frame holds decoded or translated code: a write goes through the slow path and drops that code. */
export const FRAME_CODE = 1;
/** A write goes to the host's protectedWrite() instead of memory (a page that is in use as a page table). */
export const FRAME_HOOK = 2;
/** The frame is not backed: any access raises #PF as if not present (a ballooned-out page; loading on demand). */
export const FRAME_ABSENT = 4;

// ---- translate() accesses ------------------------------------------------------------------------------------------------

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_EXEC = 2;
