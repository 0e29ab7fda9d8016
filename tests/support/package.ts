/** The package as npm packs it, installed for a program in a directory of its own. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export class InstalledPackage implements Disposable {
	readonly directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))

	/** Its dependencies are those of this clone: nothing is fetched. */
	constructor() {
		const modules = join(this.directory, 'node_modules')
		mkdirSync(join(modules, 'xenotype'), { recursive: true })
		const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', this.directory], {
			cwd: root,
			stdio: ['ignore', 'pipe', 'ignore'],
		})
		const [{ filename }] = JSON.parse(packed.toString().replace(/^[^[]*\n(?=\[)/, '')) as [{ filename: string }]
		execFileSync('tar', ['-xzf', join(this.directory, filename), '-C', join(modules, 'xenotype'), '--strip-components=1'])
		const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object }
		for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) {
			mkdirSync(dirname(join(modules, name)), { recursive: true })
			symlinkSync(join(root, 'node_modules', name), join(modules, name))
		}
		writeFileSync(join(this.directory, 'package.json'), '{ "type": "module" }\n')
	}

	/** Writes a program beside it, and returns its path. */
	program(name: string, text: string): string {
		const path = join(this.directory, name)
		writeFileSync(path, text)
		return path
	}

	/** What TypeScript has to say of programs, as one who uses the package compiles them; empty when they are right. */
	typeErrors(...programs: string[]): string {
		const options = [
			'--noEmit',
			'--strict',
			'--target',
			'es2024',
			'--lib',
			'es2024,esnext.disposable',
			'--module',
			'nodenext',
			'--types',
			'node',
		]
		try {
			execFileSync(join(root, 'node_modules/.bin/tsc'), [...options, ...programs], { cwd: this.directory, encoding: 'utf8' })
			return ''
		} catch (error) {
			return (error as { stdout: string }).stdout
		}
	}

	[Symbol.dispose](): void {
		rmSync(this.directory, { recursive: true, force: true })
	}
}
