import { UserError } from '../base/errors.ts'
import type { ConsoleEnd } from '../daemon/console_frames.ts'
import type { XendClient } from '../sdk/client.ts'
import { ConsoleLink } from '../sdk/console_link.ts'
import { hasCode } from '../sdk/errors.ts'
import type { CommandContext } from './command.ts'

/** Ctrl-], as xenconsole has it, unless the caller names another. */
const DETACH = 0x1d

export type ConsoleOutcome = { readonly detached: true } | { readonly detached: false; readonly end: ConsoleEnd }

/**
 * Joins this process's terminal to a domain's console until the domain ends or Ctrl-] is typed. Without a terminal, stdin is typed at
 * the guest as it comes, and its end means nothing: the output goes on until the domain ends. A xend that is killed meanwhile is
 * started again, and nothing of the output is missed.
 */
export async function attachConsole(
	context: CommandContext,
	client: XendClient,
	reference: string,
	onAttached: () => Promise<void> = () => Promise.resolve(),
	detachOn = DETACH,
): Promise<ConsoleOutcome> {
	const { stdin, stdout } = context
	const terminal = stdin.isTTY === true && stdout.isTTY === true
	const { promise, resolve, reject } = Promise.withResolvers<ConsoleOutcome>()
	const link = await ConsoleLink.open(
		client,
		reference,
		{
			output(bytes) {
				const room = stdout.write(bytes)
				if (!room) stdout.once('drain', () => link.resume())
				return room
			},
			ended: (end) => resolve({ detached: false, end }),
			failed: (error) => reject(lost(error, reference)),
		},
		() => context.connect(),
	)
	const detach = () => resolve({ detached: true })
	const onInput = (chunk: Uint8Array) => {
		const at = terminal ? chunk.indexOf(detachOn) : -1
		link.write(at < 0 ? chunk : chunk.subarray(0, at))
		if (at >= 0) detach()
	}
	const onLostInput = () => {}
	const restore = terminal ? rawTerminal(stdin) : () => {}
	stdin.on('data', onInput)
	stdin.on('error', onLostInput)
	stdout.on('error', detach)
	stdin.resume()
	onAttached().catch(reject)
	try {
		return await promise
	} finally {
		stdin.off('data', onInput)
		stdin.off('error', onLostInput)
		stdout.off('error', detach)
		stdin.pause()
		link.close()
		restore()
	}
}

/** A xend that ends is started again, as by any other command: what is reported here was more than that. */
function lost(error: Error, reference: string): Error {
	if (!hasCode(error, 'unreachable')) return error
	return new UserError(`the connection to xend was lost: the domain runs on, and xm console ${reference} joins it again`, {
		code: 'unreachable',
	})
}

/** Raw mode, undone by what it returns and by every way out of the process that can be caught. */
function rawTerminal(stdin: CommandContext['stdin']): () => void {
	const signals = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const
	const restore = () => {
		process.off('exit', restore)
		for (const signal of signals) process.off(signal, onSignal)
		stdin.setRawMode?.(false)
	}
	const onSignal = (signal: NodeJS.Signals) => {
		restore()
		process.kill(process.pid, signal)
	}
	process.on('exit', restore)
	for (const signal of signals) process.on(signal, onSignal)
	stdin.setRawMode?.(true)
	return restore
}

/** What there is to say when a console has ended. */
export function describeEnd(name: string, end: ConsoleEnd): string {
	const how: Record<string, string> = {
		poweroff: 'has powered off',
		reboot: 'has rebooted',
		suspend: 'is suspended',
		crash: 'has crashed',
		watchdog: 'was stopped by its watchdog',
		soft_reset: 'asked for a soft reset',
		destroyed: 'was destroyed',
	}
	const detail = end.detail === undefined ? '' : `: ${end.detail}`
	const restart = end.restartError === undefined ? '' : `; it was not restarted: ${end.restartError}`
	return `Domain '${name}' ${how[end.reason] ?? `ended: ${end.reason}`}${detail}${restart}`
}

/** A domain that ends by itself, other than in a crash, ends well. */
export function endedWell(end: ConsoleEnd): boolean {
	return ['poweroff', 'reboot', 'suspend'].includes(end.reason) && end.restartError === undefined
}
