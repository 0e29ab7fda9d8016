import { getSystemErrorMessage } from 'node:util'

/** What a failed call to the system means, in words: `no space left on device`. */
export function systemErrorText(error: unknown): string {
	const { errno, code, message } = error as NodeJS.ErrnoException
	return (errno === undefined ? undefined : getSystemErrorMessage(errno)) ?? code ?? message
}
