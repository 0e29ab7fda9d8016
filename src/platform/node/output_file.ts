import { access, constants, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { UserError } from '../../base/errors.ts'
import type { OutputFile } from '../../xenctrl/local_xen.ts'
import { systemErrorText } from './system_error.ts'

/** Behind the name of a file that is not whole yet. */
export const INCOMPLETE = '-incomplete'

/** A file that its owner alone may read, under the name `PATH-incomplete` until it is whole. Throws UserError when it can't be written. */
export async function createFile(path: string): Promise<OutputFile> {
	const incomplete = path + INCOMPLETE
	const attempt = async <T>(work: Promise<T>): Promise<T> => {
		try {
			return await work
		} catch (error) {
			throw new UserError(`Cannot write file ${path}: ${systemErrorText(error)}`, { code: 'no-file', cause: error })
		}
	}
	const file = await attempt(open(incomplete, 'w', 0o600))
	return {
		async write(bytes) {
			await attempt(file.writeFile(bytes))
		},
		async finish({ durable = false } = {}) {
			if (durable) await attempt(file.sync())
			await attempt(file.close())
			await attempt(rename(incomplete, path))
			if (durable) await attempt(syncDirectory(dirname(path)))
		},
		async abandon() {
			await file.close().catch(() => {})
			await rm(incomplete, { force: true })
		},
	}
}

/** Throws UserError when no file can be made at the path, as far as can be told without making one. */
export async function checkWritable(path: string): Promise<void> {
	try {
		await access(dirname(path), constants.W_OK | constants.X_OK)
		if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new Error('it is a directory')
	} catch (error) {
		throw new UserError(`Unable to create file ${path}: ${systemErrorText(error)}`, { code: 'no-file', cause: error })
	}
}

/** A new name is durable once its directory is. */
async function syncDirectory(path: string): Promise<void> {
	const directory = await open(path, 'r')
	try {
		await directory.sync()
	} finally {
		await directory.close()
	}
}
