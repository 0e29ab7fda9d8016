import type { Clock } from '../../base/clock.ts'

/** A moment of the host's monotonic clock, which all threads share, in seconds and nanoseconds: `process.hrtime()`. */
export type ClockOrigin = readonly [seconds: number, nanoseconds: number]

/**
 * The host's clocks. `origin` is a moment of the hypervisor's start, handed to every worker so that all threads count from there. A guest may read the time at
 * each of its system calls: of what Node has to read it, hrtime() is by half the fastest, and nothing is asked of it each time but that.
 */
export function hostClock([originSeconds, originNanoseconds]: ClockOrigin): Clock {
	const { hrtime } = process
	return {
		monotonic_ns() {
			const now = hrtime()
			return (now[0] - originSeconds) * 1e9 + (now[1] - originNanoseconds)
		},
		wall() {
			const now_ms = Date.now()
			return { seconds: Math.floor(now_ms / 1000), nanoseconds: (now_ms % 1000) * 1_000_000 }
		},
	}
}
