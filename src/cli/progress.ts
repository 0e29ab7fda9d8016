import type { CommandContext } from './command.ts'

const SHOWN_AFTER_MS = 1000
const CLEAR_LINE = '\r\u001b[K'

/**
 * Waits for `work`; on a terminal, what takes over a second shows how long it has taken, in a line that goes away. Nothing when `what` is
 * undefined. `work` may call `clear` before it prints something itself.
 */
export async function whileWaiting<T>(
	context: Pick<CommandContext, 'stderr'>,
	what: string | undefined,
	work: Promise<T> | ((clear: () => void) => Promise<T>),
): Promise<T> {
	const { stderr } = context
	const begun = (clear: () => void) => (typeof work === 'function' ? work(clear) : work)
	if (what === undefined || (stderr as { isTTY?: boolean }).isTTY !== true) return begun(() => {})
	let seconds = 0
	const clear = () => void (seconds > 0 && stderr.write(CLEAR_LINE))
	const timer = setInterval(() => stderr.write(`\r${what}: ${++seconds} s`), SHOWN_AFTER_MS)
	try {
		return await begun(clear)
	} finally {
		clearInterval(timer)
		clear()
	}
}
