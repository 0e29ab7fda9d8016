import { readFile } from 'node:fs/promises'
import { UserError } from '../../base/errors.ts'
import { systemErrorText } from './system_error.ts'

/** A kernel's or RAM disk's bytes; undefined when there is no such file. Throws UserError with code 'no-image' when it can't be read. */
export async function readImage(path: string): Promise<Uint8Array | undefined> {
	try {
		return await readFile(path)
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException
		if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
		throw new UserError(`Cannot read file ${path}: ${systemErrorText(error)}`, { code: 'no-image', cause: error })
	}
}
