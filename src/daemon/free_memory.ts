import { readFileSync } from 'node:fs'
import { freemem } from 'node:os'

/** What domains may still take of this host's memory: the kernel's own estimate where there is one. */
export function freeMemory_kib(): number {
	try {
		const available = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))
		if (available?.[1] !== undefined) return Number(available[1])
	} catch {
		// Not Linux.
	}
	return freemem() / 1024
}
