/** What Linux tells of the processes that run a guest (proc(5)). */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'

const PAGE_SIZE = 4096
const MIB = 1 << 20

/** Processes at a moment. */
export interface Moment {
	readonly time_s: number
	/** Time that each thread has run so far, by thread. */
	readonly cpu_s: ReadonlyMap<string, number>
}

/** Null when one of the processes has ended. */
export function momentOf(pids: readonly (number | undefined)[]): Moment | null {
	const time_s = performance.now() / 1000
	const cpu_s = new Map<string, number>()
	for (const pid of pids) {
		const threads = attempt(() => readdirSync(`/proc/${pid}/task`))
		if (threads === null) return null
		for (const thread of threads) {
			// Nanoseconds on a CPU, nanoseconds in wait for one, slices.
			const text = attempt(() => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'))
			if (text !== null) cpu_s.set(thread, Number(text.split(' ')[0]) / 1e9)
		}
	}
	return { time_s, cpu_s }
}

/** Parts of a host CPU that the threads had between two moments; NaN for a moment that was not seen. */
function shares(from: Moment | null, to: Moment | null): number[] {
	if (from === null || to === null) return [Number.NaN]
	return [...to.cpu_s].map(([thread, cpu_s]) => (cpu_s - (from.cpu_s.get(thread) ?? 0)) / (to.time_s - from.time_s))
}

/** Of all threads. */
export const cpuShare = (from: Moment | null, to: Moment | null): number => shares(from, to).reduce((sum, share) => sum + share, 0)
/** Of the busiest thread: the guest's processor, while the guest is busy. */
export const threadShare = (from: Moment | null, to: Moment | null): number => Math.max(...shares(from, to))

/** Time that this process's children that have ended had on a CPU: cutime and cstime of /proc/self/stat, in ticks of 10 ms. */
export function childrenTime_s(): number {
	const stat = attempt(() => readFileSync('/proc/self/stat', 'utf8'))
	if (stat === null) return Number.NaN
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
	return (Number(fields[13]) + Number(fields[14])) / 100
}

export interface ResidentMemory {
	/** Of the guest's memory. */
	readonly guest_MiB: number
	/** Of all else. */
	readonly other_MiB: number
}

/**
 * Resident memory of a process with a guest of `memory_MiB`, and of others that are there for it; a page of a file that several of them have mapped counts once. The guest's memory is
 * the end of the smallest anonymous mapping that holds as much: QEMU's has its size, a domain's the hypervisor's tables before it, and less than 1 MiB of them after it. Null where
 * that can't be seen.
 */
export function residentMemory(pid: number | undefined, others: readonly number[], memory_MiB: number): ResidentMemory | null {
	const size = memory_MiB * MIB
	const total_MiB = attempt(() => allResident_MiB([pid!, ...others]))
	const maps = attempt(() => readFileSync(`/proc/${pid}/maps`, 'utf8'))
	const [smallest] = anonymousMappings(maps ?? '')
		.filter(({ start, end }) => end - start >= size)
		.sort((a, b) => a.end - a.start - (b.end - b.start))
	if (smallest === undefined || total_MiB === null) return null
	const guest = attempt(() => pages(pid!, smallest.end - size, smallest.end).filter(isPresent).length)
	if (guest === null) return null
	const guest_MiB = (guest * PAGE_SIZE) / MIB
	return { guest_MiB, other_MiB: total_MiB - guest_MiB }
}

/** What processes have of their own, and each page of a file or of shared memory once. */
function allResident_MiB(pids: readonly number[]): number {
	const own_kB = pids.map((pid) => Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]))
	return own_kB.reduce((sum, kB) => sum + kB / 1024, 0) + (residentFilePages(pids) * PAGE_SIZE) / MIB
}

/** Pages of files that any of the processes has in memory. */
export function residentFilePages(pids: readonly number[]): number {
	const seen = new Set<string>()
	for (const pid of pids)
		for (const { start, end, offset, file } of fileMappings(readFileSync(`/proc/${pid}/maps`, 'utf8')))
			for (const [n, page] of pages(pid, start, end).entries())
				if (isPresent(page) && isOfFile(page)) seen.add(`${file} ${offset / PAGE_SIZE + n}`)
	return seen.size
}

interface Mapping {
	readonly start: number
	readonly end: number
}

/** Those that can be read and written, from the text of /proc/PID/maps. */
export function anonymousMappings(maps: string): Mapping[] {
	return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw-[ps] \S+ \S+ 0 *$/gm)].map(([, start, end]) => ({
		start: Number.parseInt(start!, 16),
		end: Number.parseInt(end!, 16),
	}))
}

interface FileMapping extends Mapping {
	/** Of the file. */
	readonly offset: number
	/** Device and inode. */
	readonly file: string
}

export function fileMappings(maps: string): FileMapping[] {
	return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) (\S+ [1-9]\d*) /gm)].map(([, start, end, offset, file]) => ({
		start: Number.parseInt(start!, 16),
		end: Number.parseInt(end!, 16),
		offset: Number.parseInt(offset!, 16),
		file: file!,
	}))
}

/** The upper byte of each entry of /proc/PID/pagemap, which has eight bytes a page. */
function pages(pid: number, start: number, end: number): Uint8Array {
	const entries = Buffer.alloc(((end - start) / PAGE_SIZE) * 8)
	const file = openSync(`/proc/${pid}/pagemap`, 'r')
	try {
		readSync(file, entries, 0, entries.length, (start / PAGE_SIZE) * 8)
	} finally {
		closeSync(file)
	}
	return Uint8Array.from({ length: entries.length / 8 }, (_, n) => entries[n * 8 + 7]!)
}

/** Bit 63 of an entry: the page is in memory. */
const isPresent = (page: number): boolean => (page & 0x80) !== 0
/** Bit 61: it is of a file, and has not been copied for the process. */
const isOfFile = (page: number): boolean => (page & 0x20) !== 0

function attempt<T>(read: () => T): T | null {
	try {
		return read()
	} catch {
		// The process has ended, or is another user's.
		return null
	}
}
