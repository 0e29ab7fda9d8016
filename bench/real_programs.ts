/** What real programs do: the work of each is fixed, and all but openssl's is checked by its output. */
import type { Program } from './programs.ts'

export interface RealProgram extends Program {
	/** Paths are relative to the tree of real_packages.ts. */
	readonly command: readonly string[]
	/** True when it measures itself, and prints rates instead of an output that is the same everywhere; measurement.ts reads them. */
	readonly printsRates: boolean
}

const real = (name: string, command: string, printsRates = false): RealProgram => ({
	name,
	group: 'real',
	command: command.split(' '),
	printsRates,
})
const SPEED = 'bin/openssl speed -mr -elapsed -seconds 1'

export const REAL_PROGRAMS: readonly RealProgram[] = [
	real('gzip', 'bin/gzip -nc data/text'),
	real('xz', 'bin/xz -T1 -c data/part'),
	real('sha256sum', `bin/sha256sum${' data/text'.repeat(10)}`),
	{ ...real('sqlite', 'bin/sqlite3 :memory:'), command: ['bin/sqlite3', ':memory:', '.read data/accounts.sql'] },
	real('perl', 'bin/perl data/words.pl data/part'),
	real('gcc', 'bin/cc1 -quiet -O2 -nostdinc -Idata/include data/compile.c -o -'),
	real('openssl_aes', `${SPEED} -bytes 8192 -evp aes-128-cbc`, true),
	real('openssl_rsa', `${SPEED} rsa2048`, true),
]

/** Of each program in a round: the first finds nothing translated, and the rest are what it takes from then on. */
const RUNS = 2

/** Arguments of programs/timed.c, which writes the program's output to the file named. The working directory is the tree. */
export function timedArguments({ name, command, printsRates }: RealProgram, output: string): string[] {
	const runs = printsRates ? ['0', '-'] : [`${RUNS}`, output]
	return [name, ...runs, 'lib/ld-linux-x86-64.so.2', '--library-path', 'lib', ...command]
}
