import type { CommandContext } from './command.ts'

const SHOWN_AFTER_MS = 1000
const CLEAR_LINE = '\r\u001b[K'

/**
 * Waits for `work`; on a terminal, what takes over a second shows how long it has taken, in a line that goes away. Nothing when `what`, which
 * may be another at any time, is undefined. `work` may call `clear` before it prints something itself.
 */
export async function whileWaiting<T>(
	context: Pick<CommandContext, 'stderr'>,
	what: string | (() => string) | undefined,
	work: Promise<T> | ((clear: () => void) => Promise<T>),
): Promise<T> {
	const { stderr } = context
	const begun = (clear: () => void) => (typeof work === 'function' ? work(clear) : work)
	if (what === undefined || !isTerminal(stderr)) return begun(() => {})
	let seconds = 0
	const clear = () => void (seconds > 0 && stderr.write(CLEAR_LINE))
	const told = () => (typeof what === 'function' ? what() : what)
	const timer = setInterval(() => stderr.write(`${CLEAR_LINE}${told()}: ${++seconds} s`), SHOWN_AFTER_MS)
	try {
		return await begun(clear)
	} finally {
		clearInterval(timer)
		clear()
	}
}

/**
 * Waits for `start`, which says what it is at when that takes long: on a terminal as whileWaiting() shows it, else in a line each that begins
 * with `program`. Nothing when `program` is undefined.
 */
export async function whileStarting<T>(
	context: Pick<CommandContext, 'stderr' | 'complain'>,
	program: string | undefined,
	start: (report: (what: string) => void) => Promise<T>,
): Promise<T> {
	let what = 'starting xend'
	const report = (now: string) => {
		what = now
		if (program !== undefined && !isTerminal(context.stderr)) context.complain(`${program}: ${now}`)
	}
	return whileWaiting(context, program === undefined ? undefined : () => what, start(report))
}

function isTerminal(stream: { readonly isTTY?: boolean }): boolean {
	return stream.isTTY === true
}
