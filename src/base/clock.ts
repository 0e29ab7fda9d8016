/** Time as the hypervisor sees it. Passed in, so that a run can be replayed. */
export interface Clock {
	/** Nanoseconds since the hypervisor's start, common to all its threads; never runs backwards. An integer below 2^53. */
	monotonic_ns(): number
	/** Time since 1970-01-01 UTC, to the host clock's precision. */
	wall(): { seconds: number; nanoseconds: number }
}

/**
 * The host's clocks. `origin_ms` is the hypervisor's start on the epoch scale (`performance.timeOrigin` of its main thread),
 * handed to every worker so that all threads count from the same moment.
 */
export function hostClock(origin_ms: number): Clock {
	const offset_ms = performance.timeOrigin - origin_ms
	return {
		monotonic_ns: () => Math.round((offset_ms + performance.now()) * 1e6),
		wall: () => {
			const now_ms = Date.now()
			return { seconds: Math.floor(now_ms / 1000), nanoseconds: (now_ms % 1000) * 1_000_000 }
		},
	}
}
