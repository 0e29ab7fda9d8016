/** Compares a guest's kernel log with what the same kernel logs on Xen itself (tests/fixtures/kernel_log). */
import { readFileSync } from 'node:fs'

export interface LogDifferences {
	/** Lines that Xen's log has and the guest's has not, or has in another place. */
	readonly missing: string[]
	/** The guest's warnings, errors and traces that Xen's log has not. */
	readonly complaints: string[]
}

/** Of the kernel's KERN_* levels, 4 is a warning; smaller is worse. */
const KERN_WARNING = 4
const TROUBLE =
	/warn|\bbug\b|call trace|cut here|oops|panic|error|fail|unexpected|unhandled|unable|bad |corrupt|stall|lockup|segfault|taint/i

/** What differs between two machines, kernels of one series or two boots: its value is left out of the comparison. */
const VALUES: readonly (readonly [where: RegExp, instead: string])[] = [
	[/^Linux version .*/, 'Linux version #'],
	[/^((Kernel c|C)ommand line:).*/, '$1 #'],
	[/^(Xen version: 4\.17)\S*/, '$1#'],
	[/[\d.]+ MHz/, '# MHz'],
	[/[\d.]+ BogoMIPS \(lpj=\d+\)/, '# BogoMIPS (lpj=#)'],
	[/^(clocksource: tsc.*) max_cycles: \w+, max_idle_ns: \d+/, '$1 max_cycles: #, max_idle_ns: #'],
	[/audit\([\d.]+:1\)/, 'audit(#)'],
	[/^(sched_clock: Marking stable).*/, '$1 #'],
	[/kernel key: [0-9a-f]+/, 'kernel key: #'],
	[/^(RAMDISK:).*/, '$1 #'],
	[/(allocating) \d+ entries in \d+/, '$1 # entries in #'],
	[/(allocated) \d+ (pages with)/, '$1 # $2'],
	[/\b\d+[Kk]\b/g, '#K'],
]

/** Lines of Xen's log that need not be in the guest's. */
const MAY_MISS: readonly RegExp[] = [
	// That guest had mode=xen on its command line; xenotype.mode= looks like a module's parameter, which the kernel is silent about.
	/^Unknown kernel command line parameters/,
	// A write of the boot console without a level or an end of line, which the log holds under a level that the console does not show.
	/^Poking KASLR/,
	// That guest loaded xenfs without xen-privcmd.
	/^xenfs: Unknown symbol/,
]

/** Lines that a kernel thread or a timer writes: anywhere in the log. */
const ANYWHERE: readonly RegExp[] = [/^Trying to unpack rootfs/, /^Freeing initrd memory/, /^clocksource: tsc:/]

/** Complaints of the guest's that Xen's log has not, for a reason. */
const MAY_COMPLAIN: readonly RegExp[] = [
	// The shell's guest runs /sbin/init, which TOMOYO takes note of; the captured one did not.
	/^Not activating Mandatory Access Control/,
	// Our initramfs loads xen-privcmd.
	/^xen:xen_privcmd: No target domain found/,
	// The host ran something else in the middle of the kernel's comparison of two clocks, which the kernel then skips.
	/^clocksource: (timekeeping watchdog on CPU0: )?.*read-back delay of \d+ns/,
]

/** `raw` is what `dmesg -r` prints: `<level>[time] text`. */
export function compareKernelLog(raw: string, fixture: string): LogDifferences {
	const expected = readLines(fixture)
	const lines = raw.split('\n').filter((line) => line !== '')
	const ours = lines.map(parseLine)
	return {
		missing: missingFrom(
			ours.map((line) => line.text),
			expected,
		),
		complaints: complaintsOf(ours, new Set(expected)),
	}
}

function missingFrom(ours: readonly string[], expected: readonly string[]): string[] {
	const missing: string[] = []
	let position = 0
	for (const line of expected) {
		if (MAY_MISS.some((pattern) => pattern.test(line))) continue
		const anywhere = ANYWHERE.some((pattern) => pattern.test(line))
		const at = ours.indexOf(line, anywhere ? 0 : position)
		if (at < 0) missing.push(line)
		else if (!anywhere) position = at + 1
	}
	return missing
}

function complaintsOf(ours: readonly LogLine[], expected: ReadonlySet<string>): string[] {
	const suspicious = ours.filter(({ level, text }) => level <= KERN_WARNING || TROUBLE.test(text))
	return suspicious.map(({ text }) => text).filter((text) => !expected.has(text) && !MAY_COMPLAIN.some((pattern) => pattern.test(text)))
}

interface LogLine {
	readonly level: number
	readonly text: string
}

function parseLine(line: string): LogLine {
	const [, level, text] = /^<(\d+)>\[ *\d+\.\d+\] ?(.*)$/.exec(line) ?? []
	// The priority's upper bits are the facility.
	return { level: Number(level ?? 0) & 7, text: withoutValues(text ?? line) }
}

function withoutValues(line: string): string {
	return VALUES.reduce((text, [where, instead]) => text.replace(where, instead), line.trimEnd())
}

function readLines(fixture: string): string[] {
	const text = readFileSync(new URL(`../fixtures/kernel_log/${fixture}`, import.meta.url), 'utf8')
	return text
		.split('\n')
		.filter((line) => line !== '' && !line.startsWith('#'))
		.map(withoutValues)
}
