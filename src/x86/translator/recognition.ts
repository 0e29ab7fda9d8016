import type { RegionExports } from '../cpu.ts'

/** A page of code: the frame that it is in, and its linear address. */
export interface CodeAt {
	readonly mfn: number
	readonly linear: number
}

/** Pages that wait to be looked at, at most. */
const MAX_WAITING = 1000

/** Tells which pages of code are to be compared with what a cache knows: each once, and again when the code of its frame has been dropped. */
export class Recognition {
	private readonly core: Pick<RegionExports, 'codeFrameAt' | 'frameVersion'>
	/** Versions of the frames' code that have been looked at. */
	private readonly versions = new Map<number, number>()
	/** By frame. */
	private readonly waiting = new Map<number, number>()

	constructor(core: Pick<RegionExports, 'codeFrameAt' | 'frameVersion'>) {
		this.core = core
	}

	/** Code of the page runs, or is part of what will. */
	meet(mfn: number, linear: number): void {
		if (this.versions.get(mfn) !== this.core.frameVersion(mfn) && this.waiting.size < MAX_WAITING) this.waiting.set(mfn, linear)
	}

	/** The next page to look at, if it is there in the present mode; otherwise it is met again. */
	take(): CodeAt | undefined {
		for (const [mfn, linear] of this.waiting) {
			this.waiting.delete(mfn)
			if (this.core.codeFrameAt(linear) !== mfn) continue
			this.versions.set(mfn, this.core.frameVersion(mfn))
			return { mfn, linear }
		}
		return undefined
	}
}
