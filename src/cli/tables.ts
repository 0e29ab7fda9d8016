import type { DomainInfo } from '../toolstack/domain_record.ts'

/** Column widths and headings of `xm list`, as scripts have parsed them since Xen 3.0. */
export function listHeading(): string {
	return `${'Name'.padEnd(40)} ${'ID'.padStart(5)} ${'Mem'.padStart(5)} ${'VCPUs'.padStart(5)} ${'State'.padStart(10)} ${'Time(s)'.padStart(9)}`
}

export function listRow(domain: DomainInfo): string {
	const name = domain.name.padEnd(40)
	const id = String(domain.domid ?? '').padStart(5)
	const memory = String(domain.memory_mib).padStart(5)
	const vcpus = String(domain.vcpus).padStart(5)
	return `${name} ${id} ${memory} ${vcpus} ${domain.state.padStart(10)} ${domain.cpuTime_s.toFixed(1).padStart(8)}`
}

/** A line of `xm info`. */
export function infoRow(name: string, value: string): string {
	return `${name.padEnd(23)}: ${value === '' ? '(none)' : value}`
}

/** Breaks text at spaces into lines of at most `width`; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
	const lines: string[] = []
	let line = ''
	for (const word of text.split(' ')) {
		if (line !== '' && line.length + 1 + word.length > width) {
			lines.push(line)
			line = word
		} else {
			line = line === '' ? word : `${line} ${word}`
		}
	}
	return [...lines, line]
}
