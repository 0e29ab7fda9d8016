import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A core's file as xend named it, `YYYY-MMDD-HHMM.SS-NAME.ID.core`, in a directory that is made when it is missing. */
export async function newCorePath(directory: string, { name, domid }: { readonly name: string; readonly domid: number }): Promise<string> {
	await mkdir(directory, { recursive: true, mode: 0o700 })
	const now = new Date()
	const two = (value: number) => String(value).padStart(2, '0')
	const date = `${now.getFullYear()}-${two(now.getMonth() + 1)}${two(now.getDate())}`
	const time = `${two(now.getHours())}${two(now.getMinutes())}.${two(now.getSeconds())}`
	return join(directory, `${date}-${time}-${name}.${domid}.core`)
}
