/** What a configuration file may learn of the machine that it is read on. */
export interface ConfigHost {
	readonly env: Readonly<Record<string, string | undefined>>
	readonly cwd: string
	/** System, node name, release, version, machine: os.uname(). */
	readonly uname: readonly string[]
	/** 'file', 'directory' or undefined for what is not there. */
	pathKind(path: string): 'file' | 'directory' | undefined
	/** The text of a file beside the one being read, for import and execfile(); undefined when there is none. */
	readBeside(name: string): string | undefined
	/** Takes what the file prints. */
	print(line: string): void
}

/** A machine that tells nothing. */
export const NO_HOST: ConfigHost = {
	env: {},
	cwd: '/',
	uname: ['Linux', 'localhost', '', '', 'x86_64'],
	pathKind: () => undefined,
	readBeside: () => undefined,
	print: () => {},
}
