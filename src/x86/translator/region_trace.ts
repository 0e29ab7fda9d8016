/** What becomes of regions, as it happens. Addresses are physical, in bytes; times are what building and compiling took, on whatever thread. */
export type RegionEvent =
	/** A region has come: it runs ('installed'), is kept for when its code is back, or was given up ('stale' where the code has changed). */
	| {
			readonly type: 'region'
			/** Names it in 'optimised'. */
			readonly id: number
			readonly physical: number
			readonly outcome: string
			/** Of the guest. */
			readonly instructions: number
			readonly pages: number
			readonly wasmBytes: number
			readonly isOptimised: boolean
			/** From a cache. */
			readonly isCached: boolean
			readonly time_ms: number
	  }
	/** It has been compiled once more, better. */
	| { readonly type: 'optimised'; readonly id: number; readonly time_ms: number }
	/** Its way in had been dropped, and its bytes were found again. */
	| { readonly type: 'reused'; readonly physical: number }
	/** Nothing there can be translated. */
	| { readonly type: 'refused'; readonly physical: number }

export type RegionTrace = (event: RegionEvent) => void
