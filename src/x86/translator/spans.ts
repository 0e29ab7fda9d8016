// Accesses near one another, by the same registers, that are looked up once: fields of a structure, a stack frame, pushes in a row.
// Rules:
// - A span is what they touch: bytes by their distance from a sum of registers. The first of them in the order of execution, the span's anchor, asks
//   for all of it at once: that one page has it, and that it may be read, or written, in place. Then the others are loads and stores at constant
//   distances, which cannot fail.
// - Where the anchor is refused the core executes its instruction, which faults as it should or makes progress, and the region is left behind it.
// - Members are dominated by their anchor, and their names are exact (registers.ts): they are where the anchor thought.
// - A span that is looked up for writing serves reads too, never the other way round: a read of a page that is read-only must not leave for what may
//   be written later.
// - What was found holds while mappings stay. Whatever may change them ends all spans: forget() where it always may; a store that turns out to be the
//   host's, or to drop code, leaves the region where a span is to be used after it (memory.ts).
// - No anchor is in a loop: a frame that lies across two pages would leave in every round. There pages.ts serves. But a loop uses spans that were
//   found before it, where it leaves the registers and all mappings alone, which a pass before the others finds out. A region that is left too often
//   for it is made once more without spans (translator.ts).
// - The first pass decides; the second, which meets the same accesses in the same order, follows.

import { InternalError } from '../../base/errors.ts'
import { I32 } from '../../wasm/module.ts'
import type { RegionContext } from './context.ts'
import type { Place } from './pages.ts'

/** Bytes of a span at most: what is longer lies across pages too often. */
const MAX_SPAN = 256
/** Spans that are looked through for one that an access belongs to. */
const MAX_OPEN = 24

/** Bytes from a sum of registers on. */
export interface Span {
	low: number
	high: number
	readonly write: boolean
	/** Accesses, by their numbers. */
	readonly anchor: number
	last: number
}

/** A span that has been looked up. */
export interface FoundSpan {
	readonly span: Span
	/** Local: host address of its lowest byte. */
	readonly host: number
	/** The access is the one to look it up. */
	readonly isAnchor: boolean
}

interface Open {
	readonly span: Span
	readonly name: string
	/** Where the anchor is. */
	readonly scope: number
	readonly host: number
}

export class Spans {
	private readonly context: RegionContext
	private open: Open[] = []
	/** Those that have a local. */
	private taken: Open[] = []
	/** Locals of spans that are not used any more. */
	private readonly free: number[] = []
	/** By block start: what is known on all ways that have been written so far to where ways meet. */
	private readonly met = new Map<number, Open[]>()
	private count = 0

	constructor(context: RegionContext) {
		this.context = context
	}

	/** The span that an access is to be made by; undefined where it is alone. */
	of(place: Place, size: number, write: boolean, repeats: boolean): FoundSpan | undefined {
		const number = ++this.count
		return this.context.use.residence.plan === undefined ? this.plan(number, place, size, write, repeats) : this.follow(number, place, size)
	}

	/** In the first pass. */
	private plan(number: number, place: Place, size: number, write: boolean, repeats: boolean): FoundSpan | undefined {
		const { code, use } = this.context
		const { name, offset } = place
		const end = offset + size
		let near: Open | undefined
		for (let n = this.open.length - 1; n >= Math.max(0, this.open.length - MAX_OPEN); n--) {
			const open = this.open[n]!
			const { low, high } = open.span
			if (open.name !== name || (write && !open.span.write) || !code.encloses(open.scope)) continue
			if (offset >= low && end <= high) {
				near = open
				break
			}
			if (near === undefined && Math.max(high, end) - Math.min(low, offset) <= MAX_SPAN) near = open
		}
		if (near === undefined && repeats) return undefined
		if (near === undefined) {
			const span = { low: offset, high: end, write, anchor: number, last: number }
			this.open.push({ span, name, scope: code.scope, host: 0 })
			use.spans.set(number, span)
			return undefined
		}
		const { span } = near
		span.low = Math.min(span.low, offset)
		span.high = Math.max(span.high, end)
		span.last = number
		use.spans.set(number, span)
		return { span, host: 0, isAnchor: false }
	}

	/** In the second. */
	private follow(number: number, { name, offset }: Place, size: number): FoundSpan | undefined {
		const { code, use } = this.context
		this.release(number)
		const span = use.spans.get(number)
		if (span === undefined || span.last === span.anchor) return undefined
		if (span.anchor === number) {
			const host = this.free.pop() ?? code.local(I32)
			const open = { span, name, scope: code.scope, host }
			this.open.push(open)
			this.taken.push(open)
			return { span, host, isAnchor: true }
		}
		const open = this.open.find((other) => other.span === span)
		if (open === undefined || open.name !== name || offset < span.low || offset + size > span.high || !code.encloses(open.scope))
			throw new InternalError('an access is not where the first pass met it')
		return { span, host: open.host, isAnchor: false }
	}

	/** Locals of spans that are not used by this access and those after it. */
	private release(number: number): void {
		if (!this.taken.some(({ span }) => span.last < number)) return
		this.taken = this.taken.filter(({ span, host }) => {
			const isUsed = span.last >= number
			if (!isUsed) this.free.push(host)
			return isUsed
		})
	}

	/** Accesses written so far. */
	get accesses(): number {
		return this.count
	}

	/** Where the code of a loop ends that began when there were `before` accesses: what is used in it, and was looked up before it, is used in its next round too. */
	endLoop(before: number): void {
		for (const span of new Set(this.context.use.spans.values()))
			if (span.anchor <= before && span.last > before) span.last = Math.max(span.last, this.count)
	}

	/** Whether one is to be used after the present access. */
	get areUsedLater(): boolean {
		const { code } = this.context
		return this.open.some(({ span, scope }) => span.last > this.count && code.encloses(scope))
	}

	/** Mappings may have changed in the code just written. */
	forget(): void {
		this.open = []
	}

	/** Runs `body`, which writes one of several ways, or one that control does not come back from; what is known here stays. */
	onOneWay(body: () => void): void {
		const { open } = this
		this.open = [...open]
		body()
		this.open = open
	}

	/** Control goes from here to where ways meet, at the block `target`. All ways to it are written before it. */
	meet(target: number): void {
		const met = this.met.get(target)
		this.met.set(target, met === undefined ? [...this.open] : met.filter((span) => this.open.includes(span)))
	}

	/** At the head of a loop, which may change mappings. */
	beginLoop(head: number): void {
		if (!this.context.use.loops.get(head)?.mappings) this.forget()
	}

	/** Where they meet. */
	begin(block: number): void {
		this.open = this.met.get(block) ?? []
	}
}
