import type { CommandContext } from './command.ts'

const SHOWN_AFTER_MS = 1000

/** Waits for `work`; on a terminal, what takes over a second shows how long it has taken, in a line that goes away. Nothing when `what` is undefined. */
export async function whileWaiting<T>(context: Pick<CommandContext, 'stderr'>, what: string | undefined, work: Promise<T>): Promise<T> {
	const { stderr } = context
	if (what === undefined || (stderr as { isTTY?: boolean }).isTTY !== true) return work
	let seconds = 0
	const timer = setInterval(() => stderr.write(`\r${what}: ${++seconds} s`), SHOWN_AFTER_MS)
	try {
		return await work
	} finally {
		clearInterval(timer)
		if (seconds > 0) stderr.write('\r\u001b[K')
	}
}
