const DEFAULT_LIMIT_chars = 1024 * 1024
const PREFIX = '(XEN) '

/** The hypervisor's console ring: the last lines of its log, oldest dropped first. What `xm dmesg` shows. */
export class LogRing {
	private readonly limit_chars: number
	private lines: string[] = []
	private size_chars = 0

	constructor(limit_chars = DEFAULT_LIMIT_chars) {
		this.limit_chars = limit_chars
	}

	/** Adds a message, one line for each of its lines, and returns them as they stand in the ring. */
	add(message: string): string[] {
		const added = message.split('\n').map((line) => `${PREFIX}${line}\n`)
		for (const line of added) {
			this.lines.push(line)
			this.size_chars += line.length
		}
		this.trim()
		return added
	}

	read(): string {
		return this.lines.join('')
	}

	clear(): void {
		this.lines = []
		this.size_chars = 0
	}

	private trim(): void {
		let dropped = 0
		for (; this.size_chars > this.limit_chars && dropped < this.lines.length; dropped++) {
			this.size_chars -= (this.lines[dropped] as string).length
		}
		if (dropped > 0) this.lines = this.lines.slice(dropped)
	}
}
