import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../base/errors.ts'

/** Folders of src that have what threads import when they start, and what names the translation cache. */
const FOLDERS = ['abi', 'base', 'platform', 'wasm', 'x86', 'xen']
/** The core's builder writes it; nobody imports it. */
const GENERATED = '/generated/'
const SOURCES = join(import.meta.dirname, '../..')

/** What the sources were when this process started: a domain's threads read them anew, and would not be the hypervisor that this process is. */
export class SourceState {
	private readonly root: string
	private readonly marks: ReadonlyMap<string, string | undefined>

	constructor(root = SOURCES) {
		this.root = root
		const files = FOLDERS.flatMap((folder) => {
			const inside = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
			return inside.filter((name) => /(?<!\.test)\.ts$/.test(name) && !name.includes(GENERATED)).map((name) => join(folder, name))
		})
		this.marks = new Map(files.map((file) => [file, this.mark(file)]))
	}

	/** Throws UserError when one of them has been written anew or is gone, as after `git pull`. */
	check(): void {
		for (const [file, mark] of this.marks) {
			if (this.mark(file) === mark) continue
			const what = `src/${file} of Xenotype has changed since the hypervisor was started, which can start no domain with what is there now`
			const remedy = "save or shut down its domains, and have 'xend restart' start it anew"
			throw new UserError(`${what}: ${remedy}`, { code: 'sources-changed' })
		}
	}

	private mark(file: string): string | undefined {
		const stat = statSync(join(this.root, file), { throwIfNoEntry: false })
		return stat && `${stat.ino} ${stat.size} ${stat.mtimeMs}`
	}
}
