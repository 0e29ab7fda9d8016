// Locks in a domain's shared memory.
//
// A lock word is 0 (free), 1 (held) or 2 (held, and a thread may be asleep waiting for it). Held for short, bounded sections
// that neither block nor call out. A thread that may not sleep (a browser's main thread) spins instead.
// No lock is held across a call of run(), so a vCPU's thread that stops at its loop's checks never leaves one held.

const SPINS = 200

const maySleep = (() => {
	try {
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0)
		return true
	} catch {
		return false
	}
})()

/** Acquires the lock word words[index]. Not reentrant. */
export function acquire(words: Int32Array, index: number): void {
	for (let n = 0; n < SPINS; n++) {
		if (Atomics.compareExchange(words, index, 0, 1) === 0) return
	}
	if (maySleep) {
		while (Atomics.exchange(words, index, 2) !== 0) Atomics.wait(words, index, 2)
	} else {
		while (Atomics.compareExchange(words, index, 0, 1) !== 0);
	}
}

/** Releases a lock word that this thread holds. */
export function release(words: Int32Array, index: number): void {
	if (Atomics.exchange(words, index, 0) === 2) Atomics.notify(words, index, 1)
}
