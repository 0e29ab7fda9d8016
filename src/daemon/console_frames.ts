/**
 * The console stream's framing, both ways, after the upgrade: frames (xenctrl/frames.ts) of these types.
 *
 *   0 DATA  server: what the guest wrote; client: what was typed
 *   1 END   server, once and last: ConsoleEnd as JSON
 *   2 PLACE server, first, and again where output was lost: ConsolePlace as JSON
 *   3 TAKEN server, to a typist: before all else, and whenever the guest has taken more of what was typed: ConsoleTaken as JSON
 */
export { encodeFrame, FRAME_HEADER_SIZE, FrameReader, MAX_FRAME_SIZE } from '../xenctrl/frames.ts'

export const FRAME_DATA = 0
export const FRAME_END = 1
export const FRAME_PLACE = 2
export const FRAME_TAKEN = 3

/** The Upgrade header's token. */
export const CONSOLE_PROTOCOL = 'xenotype-console/2'

/** Where in all that the guest has written what comes next stands. */
export interface ConsolePlace {
	readonly position: number
}

/** How many bytes of all that the typist has typed, over one connection after another, are the guest's. */
export interface ConsoleTaken {
	readonly taken: number
}

/** How a domain's console came to its end. */
export interface ConsoleEnd {
	/** The shutdown reason, or 'destroyed'. */
	readonly reason: string
	readonly detail?: string | undefined
	/** A restart followed: the new domain's number. */
	readonly next?: number | undefined
	/** A restart was due and did not happen: why. */
	readonly restartError?: string | undefined
}
