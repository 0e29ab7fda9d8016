import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { SavedFiles } from '../../toolstack/save_restore.ts'
import { INCOMPLETE } from './output_file.ts'

/** Files of suspended managed domains, `<uuid>.save`, in a directory that is made when it is needed. */
export function savedFilesIn(directory: string): SavedFiles {
	const file = (uuid: string) => join(directory, `${uuid}.save`)
	return {
		async path(uuid) {
			await mkdir(directory, { recursive: true, mode: 0o700 })
			return file(uuid)
		},
		async remove(uuid) {
			await rm(file(uuid), { force: true })
			// What a hypervisor that was killed has left of one.
			await rm(`${file(uuid)}${INCOMPLETE}`, { force: true })
		},
	}
}
