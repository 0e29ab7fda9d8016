import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shippedCore } from './load_core.ts'

/** Folders whose modules decide what a region's code is; an installed package has the core's sources in one file that is built. */
const FOLDERS = ['../../x86', '../../wasm']

/** Names what makes regions: the sources of the processor and of the translator, this V8 and the kind of processor it compiles for. 16 hexadecimal digits. */
export function regionVersion(): string {
	const hash = createHash('sha256').update(`${process.versions.v8} ${process.arch}`)
	const add = (folder: string) => {
		for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
			const path = join(folder, entry.name)
			if (entry.isDirectory()) add(path)
			else if (!entry.name.includes('.test.')) hash.update(entry.name).update(readFileSync(path))
		}
	}
	const core = shippedCore()
	if (core !== undefined) hash.update(readFileSync(core))
	for (const folder of FOLDERS) add(join(import.meta.dirname, folder))
	return hash.digest('hex').slice(0, 16)
}
