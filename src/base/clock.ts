/** Time as the hypervisor sees it. Passed in, so that a run can be replayed. */
export interface Clock {
	/** Nanoseconds since the hypervisor's start, common to all its threads; never runs backwards. An integer below 2^53. */
	monotonic_ns(): number
	/** Time since 1970-01-01 UTC, to the host clock's precision. */
	wall(): { seconds: number; nanoseconds: number }
}
