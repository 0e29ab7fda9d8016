import type { DomainInfo } from '../toolstack/domain_record.ts'
import type { VcpuState } from '../xenctrl/interface.ts'

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

/** Every domain's label where no security policy is active. */
export const NO_POLICY = 'INACTIVE'

/** `xm list --label`: with one label for all, their order by label is the order they have. */
export function labelTable(domains: readonly DomainInfo[]): string[] {
	const columns = ['Mem', 'VCPUs', 'State'].map((title) => title.padStart(5)).join(' ')
	const heading = `${'Name'.padEnd(32)} ${'ID'.padStart(3)} ${columns} ${'Time(s)'.padStart(9)} ${'Label'.padEnd(8)}`
	const rows = domains.map(({ name, domid, memory_mib, vcpus, state, cpuTime_s }) => {
		const numbers = `${String(domid ?? '').padStart(3)} ${String(memory_mib).padStart(5)} ${String(vcpus).padStart(5)}`
		return `${name.padEnd(32)} ${numbers} ${state.padStart(10)} ${cpuTime_s.toFixed(1).padStart(8)} ${NO_POLICY.padStart(9)}`
	})
	return [heading, ...rows]
}

export function vcpuHeading(): string {
	const columns = ['ID', 'VCPU', 'CPU', 'State'].map((title) => title.padStart(5)).join(' ')
	return `${'Name'.padEnd(32)} ${columns} ${'Time(s)'.padStart(9)} CPU Affinity`
}

/** Which of the host's processors a vCPU runs on is the host's affair: the column says `-`. A domain that is halted has neither that nor a state. */
export function vcpuRow(name: string, domid: number | null, vcpu: number, state: VcpuState): string {
	const cpu = domid === null ? '' : '-'
	const columns = [String(domid ?? ''), String(vcpu), cpu, domid === null ? '' : vcpuFlags(state)]
	return `${name.padEnd(32)} ${columns.map((text) => text.padStart(5)).join(' ')} ${state.cpuTime_s.toFixed(1).padStart(9)} any cpu`
}

function vcpuFlags({ online, running, blocked }: VcpuState): string {
	return online ? `${running ? 'r' : '-'}${blocked ? 'b' : '-'}-` : '--p'
}

export function uptimeHeading(): string {
	return `${'Name'.padEnd(33)} ${'ID'.padStart(4)} Uptime`
}

export function uptimeRow(name: string, domid: number, uptime_s: number): string {
	return `${name.padEnd(32)} ${String(domid).padStart(5)} ${span(uptime_s, { seconds: true })}`
}

/** Whole seconds as `2 days,  1:02:03`; the hours are two wide. */
export function span(whole_s: number, { seconds }: { readonly seconds: boolean }): string {
	const days = Math.floor(whole_s / 86400)
	const hours = Math.floor((whole_s % 86400) / 3600)
	const two = (value: number) => String(value).padStart(2, '0')
	const day = days === 0 ? '' : `${days} day${days > 1 ? 's' : ''}, `
	return `${day}${String(hours).padStart(2)}:${two(Math.floor((whole_s % 3600) / 60))}${seconds ? `:${two(whole_s % 60)}` : ''}`
}

export function clockTime(date: Date): string {
	return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}

/** What `--json` prints. */
export function showJson(value: unknown): string {
	return JSON.stringify(value, undefined, 4)
}

/** A line of `xm info`. */
export function infoRow(name: string, value: string): string {
	return `${name.padEnd(23)}: ${value === '' ? '(none)' : value}`
}

/** A line of `xm info -c`. */
export function settingRow(name: string, value: string): string {
	return `${name.padEnd(38)}: ${value}`
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
