import { UserError } from '../base/errors.ts'
import { PAGE_SIZE } from '../x86/machine_memory.ts'

/** The domain's memory does not hold what is to be loaded into it. */
export class DomainTooSmall extends UserError {
	constructor(what: string, neededPages: number, availablePages: number) {
		super(`the domain's memory is too small: its ${what} needs ${mib(neededPages)} MiB, the domain has ${mib(availablePages)} MiB`, {
			code: 'domain-too-small',
		})
		this.name = 'DomainTooSmall'
	}
}

function mib(pages: number): string {
	return ((pages * PAGE_SIZE) / 1048576).toFixed(1).replace(/\.0$/, '')
}

/** Hands out a domain's pages in ascending order. */
export class PageAllocator {
	used = 0
	private readonly total: number

	constructor(total: number) {
		this.total = total
	}

	take(what: string, pages: number): { pfn: number; pages: number } {
		const pfn = this.used
		if (pfn + pages > this.total) throw new DomainTooSmall(`${what} (with what comes before it)`, pfn + pages, this.total)
		this.used += pages
		return { pfn, pages }
	}

	/** Leaves pages out up to `pfn`, which is not below what is used. */
	padTo(pfn: number): void {
		this.take('padding', pfn - this.used)
	}
}
