/**
 * When translating pays. A sample stands for a budget of guest instructions: a quarter of a millisecond in the interpreter, a tenth of that in a region. Making a
 * region takes some 30 µs for each instruction, compiling it once more, better, some 80; both happen on another thread, which several vCPUs may share.
 */

/** Samples at an address before it is looked at. */
const HOT = 3
/** The same where a dispatcher of the frame goes already: the way back into its region is short. */
const HOT_INSIDE = 64
/** Instructions of a region that one sample pays for. */
const BUILT_BY_A_SAMPLE = 24
/** The same for the better compiler when it has nothing else to do, in samples of the region itself. Otherwise it takes four times as many. */
const IMPROVED_BY_A_SAMPLE = 48
const WHATEVER_ELSE = 4
/** How much more is asked for while the vCPU mostly rests. */
const AT_REST = 4
/** Requests without an answer that double what is asked for: some wait, so that there are several to make a module of. */
const DOUBLING = 40
/** How much more is asked for each time that regions had to be given up, at most, and how that wears off with a sample. */
const SCARCER = 1.5
const SCARCEST = 16
const WEARS_OFF = 0.9999
/** Of the vCPU's thread, in ms: what a sample grants for looking at code, and what can be saved up. */
const LOOKING_MS = 0.01
const MOST_LOOKING_MS = 40
/** What counts as lately, and what passes between two samples of a vCPU that runs, at most. */
const RECENT_MS = 100
const SAMPLE_MS = 4
/** Addresses that are remembered. */
const MAX_ADDRESSES = 1 << 16

/** What it is worth to compile a region once more that has been sampled so often: 1 when it pays whatever else is to be done, a quarter when it does if nothing is. */
export function worthImproving(samples: number, instructions: number): number {
	return samples / (WHATEVER_ELSE * (1 + Math.floor(instructions / IMPROVED_BY_A_SAMPLE)))
}

interface Spot {
	samples: number
	/** Samples at which it is looked at. */
	due: number
	/** Of its region, when it was looked at last; until then what one sample pays for. */
	instructions: number
}

/** What translating may cost the vCPU's thread, and what regions must be worth, as things are. */
export class Economy {
	private allowance_ms = MOST_LOOKING_MS
	private scarcity = 1
	private sampled_ms = 0
	/** Of the last RECENT_MS; what is longer ago counts for less and less. */
	private ran_ms = 0

	/** So many samples' time has passed, up to `now_ms` of the thread's clock. */
	sample(samples: number, now_ms: number): void {
		const passed_ms = now_ms - this.sampled_ms
		this.sampled_ms = now_ms
		this.ran_ms = this.ran_ms * Math.exp(-passed_ms / RECENT_MS) + Math.min(passed_ms, SAMPLE_MS)
		this.allowance_ms = Math.min(MOST_LOOKING_MS, this.allowance_ms + LOOKING_MS * samples)
		this.scarcity = Math.max(1, this.scarcity * WEARS_OFF ** samples)
	}

	/** Whether the vCPU ran more than it rested, lately. What mostly rests has little to gain from code that may be better. */
	get isBusy(): boolean {
		return this.ran_ms >= RECENT_MS / 2
	}

	/** Whether there is time left to look at code. */
	get mayLook(): boolean {
		return this.allowance_ms > 0
	}

	looked(time_ms: number): void {
		this.allowance_ms -= time_ms
	}

	/** Regions had to be given up for want of room. */
	evicted(): void {
		this.scarcity = Math.min(SCARCEST, this.scarcity * SCARCER)
	}

	/** Samples that a region of that many instructions must have had to be worth making, while so many requests have no answer. */
	worthBuilding(instructions: number, pending: number): number {
		const samples = (HOT + instructions / BUILT_BY_A_SAMPLE) * (1 + pending / DOUBLING) * this.scarcity
		return Math.ceil(this.isBusy ? samples : samples * AT_REST)
	}
}

/** How often code has been met that is not translated, by physical address. What is not met again is forgotten, and what is left counts half, when there is too much. */
export class Heat {
	private readonly spots = new Map<number, Spot>()

	/** Counts a sample; how many there have been. */
	add(physical: number, isInside: boolean): number {
		const spot = this.spots.get(physical)
		if (spot !== undefined) return ++spot.samples
		if (this.spots.size >= MAX_ADDRESSES) this.decay()
		this.spots.set(physical, { samples: 1, due: isInside ? HOT_INSIDE : HOT, instructions: BUILT_BY_A_SAMPLE })
		return 1
	}

	isDue(physical: number): boolean {
		const spot = this.spots.get(physical)
		return spot !== undefined && spot.samples >= spot.due
	}

	/** It is not to be looked at before that many samples. */
	postpone(physical: number, samples: number): void {
		const spot = this.spots.get(physical)
		if (spot !== undefined) spot.due = samples
	}

	/** How large its region was when it was looked at last, and a guess before that. */
	instructionsAt(physical: number): number {
		return this.spots.get(physical)?.instructions ?? BUILT_BY_A_SAMPLE
	}

	/** It has been looked at. */
	found(physical: number, instructions: number): void {
		const spot = this.spots.get(physical)
		if (spot !== undefined) spot.instructions = instructions
	}

	/** A dispatcher goes there now. */
	postponeInside(physical: number): void {
		this.postpone(physical, HOT_INSIDE)
	}

	forget(physical: number): void {
		this.spots.delete(physical)
	}

	private decay(): void {
		for (const [physical, spot] of this.spots) {
			spot.samples >>= 1
			if (spot.samples === 0) this.spots.delete(physical)
		}
	}
}
