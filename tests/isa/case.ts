/** Bytes at an offset in the data region. */
export interface Patch {
	readonly offset: number
	readonly bytes: Uint8Array
}

/** One instruction (sometimes a few) with the state it starts from. */
export interface IsaCase {
	/** Mnemonic and encoding, as reports group by: 'ADD 01 /r Ev,Gv'. */
	readonly label: string
	readonly code: Uint8Array
	/** Number of the base state (state.ts) and whether it is 32-bit compatibility code. */
	readonly base: number
	readonly compat: boolean
	/** STATE_SIZE bytes. The instruction is at its RIP. */
	readonly state: Uint8Array
	readonly memory: readonly Patch[]
	/** Status flags that the architecture leaves undefined: not compared. */
	readonly undefinedFlags: number
	/** The same for the condition codes in the x87 status word. */
	readonly undefinedStatus: number
	readonly tolerance: Tolerance
	/** Both code pages can be written: a program that changes its own code. */
	readonly writableCode?: boolean
}

/**
 * What may differ from the recorded result: nothing; x87 registers by one unit in the last place (transcendental functions);
 * binary32 lanes by 1.5 * 2^-12 of their value (RCPPS and RSQRTPS).
 */
export const EXACT = 0
export const LAST_PLACE = 1
export const TWELVE_BITS = 2
export type Tolerance = typeof EXACT | typeof LAST_PLACE | typeof TWELVE_BITS

/** How a case ended: always in an exception, #BP where nothing else happened. */
export interface Outcome {
	readonly vector: number
	readonly error: number
	/** Faulting address of a page fault as 64 bits, else 0. */
	readonly cr2: bigint
	/** STATE_SIZE bytes; RIP as the exception pushed it. */
	readonly state: Uint8Array
	/** What changed in the data region. */
	readonly memory: readonly Patch[]
}

export interface JudgedCase {
	readonly case: IsaCase
	readonly outcome: Outcome
}

/** Vector that a harness reports for a case that didn't end. */
export const VECTOR_HANG = 255
