// Imports from the host; see CpuHost in src/x86/cpu.ts.

@external("host", "readTsc")
export declare function readTsc(): f64;
@external("host", "random32")
export declare function random32(): u32;
@external("host", "protectedWrite")
export declare function protectedWrite(maddr: u32, size: u32, lo: u32, hi: u32): i32;
@external("host", "undefinedInstruction")
export declare function undefinedInstruction(rip: f64, at: u32, length: u32): void;
