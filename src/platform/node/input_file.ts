import { open } from 'node:fs/promises'
import { UserError } from '../../base/errors.ts'
import type { InputFile } from '../../xenctrl/guest_builder.ts'
import { systemErrorText } from './system_error.ts'

/** A file that is read from its beginning to its end. Throws UserError when it can't be. */
export async function openFile(path: string): Promise<InputFile> {
	const attempt = async <T>(work: Promise<T>): Promise<T> => {
		try {
			return await work
		} catch (error) {
			throw new UserError(`Unable to read file ${path}: ${systemErrorText(error)}`, { code: 'no-file', cause: error })
		}
	}
	const file = await attempt(open(path, 'r'))
	return {
		async read(length) {
			const bytes = new Uint8Array(length)
			let have = 0
			while (have < length) {
				const { bytesRead } = await attempt(file.read(bytes, have, length - have))
				if (bytesRead === 0) break
				have += bytesRead
			}
			return bytes.subarray(0, have)
		},
		close: () => file.close(),
	}
}
