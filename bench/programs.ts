/** The programs that are measured, and how they are built. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Group = 'integer' | 'floating' | 'system' | 'real'

export interface Program {
	readonly name: string
	readonly group: Group
}

const inGroup = (group: Group, names: string): Program[] => names.split(' ').map((name) => ({ name, group }))

/** Each is programs/NAME.c. The floating ones are of doubles. */
export const PROGRAMS: readonly Program[] = [
	...inGroup('integer', 'sort sha256 chacha20 aes sieve compress bignum bytecode search'),
	...inGroup('floating', 'nbody matmul mandelbrot spectral fft'),
	...inGroup('system', 'getppid fork_exec fork pipe page_fault yield signal'),
]

/** Count timer interrupts instead of time; programs/ticks.h. */
export const TICKS = ['ticks_integer', 'ticks_floating'] as const
/** Times the real programs. */
export const TIMED = 'timed'
const TOOLS = [...TICKS, TIMED] as const
export type Tool = (typeof TOOLS)[number]

/** Programs that need no more of a system than write, exit and clock_gettime. */
export const runsWithoutKernel = ({ group }: Program): boolean => group === 'integer' || group === 'floating'

const FLAGS = [
	'-std=gnu11 -O2 -march=x86-64 -ffreestanding -fno-tree-loop-distribute-patterns -fno-math-errno -ffp-contract=off',
	'-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-pie -no-pie -static -nostdlib',
	'-Wall -Wextra -Werror -Wl,--build-id=none -Wl,-z,noexecstack',
].flatMap((line) => line.split(' '))

const sources = fileURLToPath(new URL('programs', import.meta.url))
const output = fileURLToPath(new URL('../build/bench', import.meta.url))

export interface BuiltProgram extends Program {
	/** Absolute path of a static executable. */
	readonly path: string
}

export interface Build {
	readonly programs: readonly BuiltProgram[]
	/** Absolute paths of static executables. */
	readonly tools: Readonly<Record<Tool, string>>
	/** Name and version. */
	readonly compiler: string
}

/** Compiles what has changed since the last time. Null when there is no gcc. */
export function buildPrograms(programs: readonly Program[]): Build | null {
	const compiler = compilerVersion()
	if (compiler === null) return null
	mkdirSync(output, { recursive: true })
	const built = programs.map((program) => ({ ...program, path: buildProgram(program.name, compiler) }))
	const tools = Object.fromEntries(TOOLS.map((tool) => [tool, buildProgram(tool, compiler)])) as Record<Tool, string>
	return { programs: built, tools, compiler }
}

function buildProgram(name: string, compiler: string): string {
	const headers = ['bench.h', 'ticks.h'].map((file) => join(sources, file))
	const files = ['runtime.c', `${name}.c`].map((file) => join(sources, file))
	const hash = createHash('sha256').update(compiler).update(FLAGS.join(' '))
	for (const file of [...headers, ...files]) hash.update(readFileSync(file))
	const directory = join(output, `${name}-${hash.digest('hex').slice(0, 12)}`)
	const path = join(directory, name)
	if (existsSync(path)) return path
	const temporary = `${directory}.${process.pid}`
	mkdirSync(temporary)
	try {
		execFileSync('gcc', [...FLAGS, '-o', join(temporary, name), ...files], { stdio: ['ignore', 'ignore', 'inherit'] })
		renameSync(temporary, directory)
	} finally {
		rmSync(temporary, { recursive: true, force: true })
	}
	return path
}

function compilerVersion(): string | null {
	try {
		const version = execFileSync('gcc', ['-dumpfullversion'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
		return `gcc ${version.trim()}`
	} catch {
		return null
	}
}
