import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../base/errors.ts'

export type Progress = (line: string) => void

/** One package as apt's index names it. */
export interface DebianPackage {
	readonly name: string
	readonly version: string
	readonly sha256: string
	readonly sizeBytes: number
}

const LISTS_MAX_AGE_MS = 24 * 3600 * 1000

/**
 * Debian packages through the host's own apt: its sources, keyrings, proxies and preferences, but with state and cache of our own, so that
 * neither root nor an `apt-get update` of the host's is needed and nothing of the host changes. apt checks the signatures; we check each
 * package against the index once more.
 */
export class DebianPackages {
	private readonly directory: string
	private readonly progress: Progress
	private readonly config: string
	/** Its time tells when the package lists were last fetched in full. */
	private readonly stamp: string
	private updated = false
	private updateError: UserError | null = null

	constructor(directory: string, progress: Progress) {
		this.directory = directory
		this.progress = progress
		this.config = join(directory, 'apt.conf')
		this.stamp = join(directory, 'updated')
	}

	/** True when this host has what it takes: apt-get, apt-cache, dpkg-deb and tar. */
	static async usable(): Promise<boolean> {
		for (const tool of [
			['apt-get', '--version'],
			['apt-cache', '--version'],
			['dpkg-deb', '--version'],
			['tar', '--version'],
		]) {
			if ((await run(tool[0]!, tool.slice(1)).catch(() => null))?.code !== 0) return false
		}
		return true
	}

	/**
	 * The newest package whose whole name matches the first of `patterns` that matches any; null when none does. Throws a UserError when
	 * none does and the package lists could not be had in full.
	 */
	async newest(patterns: readonly RegExp[]): Promise<DebianPackage | null> {
		await this.ensureLists()
		const names = (await this.apt('apt-cache', ['pkgnames'])).stdout.split('\n')
		for (const pattern of patterns) {
			const matching = names.filter((name) => pattern.test(name)).sort((a, b) => compareVersions(b, a))
			for (const name of matching) {
				const found = await this.describe(name)
				if (found !== null) return found
			}
		}
		if (this.updateError !== null) throw this.updateError
		return null
	}

	/**
	 * Downloads `wanted` and unpacks those of its files that match `globs` (as tar matches them, the path starting with "./") under `target`,
	 * which exists. Throws a UserError when a download or its check fails, or when a glob matches nothing.
	 */
	async unpack(wanted: DebianPackage, globs: readonly string[], target: string): Promise<void> {
		const scratch = await mkdtemp(join(this.directory, 'download-'))
		try {
			const archive = await this.download(wanted, scratch)
			this.progress(`unpacking ${wanted.name} ${wanted.version}`)
			await extract(archive, globs, target)
		} finally {
			await rm(scratch, { recursive: true, force: true })
		}
	}

	private async download(wanted: DebianPackage, scratch: string): Promise<string> {
		this.progress(`downloading ${wanted.name} ${wanted.version} (${(wanted.sizeBytes / 1e6).toFixed(1)} MB)`)
		const result = await this.apt('apt-get', ['-q', 'download', `${wanted.name}=${wanted.version}`], scratch)
		const archive = (await readdir(scratch)).find((name) => name.endsWith('.deb'))
		if (result.code !== 0 || archive === undefined) {
			// The lists may be older than what the mirror has: the next attempt fetches them anew.
			await rm(this.stamp, { force: true })
			throw aptError(`could not download ${wanted.name} ${wanted.version}`, result)
		}
		const path = join(scratch, archive)
		const sha256 = await sha256OfFile(path)
		if (sha256 !== wanted.sha256)
			throw new UserError(
				`${wanted.name} ${wanted.version}: SHA256 of the download is ${sha256}, the package index says ${wanted.sha256}`,
				{
					code: 'bad-package',
				},
			)
		return path
	}

	private async describe(name: string): Promise<DebianPackage | null> {
		const { stdout } = await this.apt('apt-cache', ['show', '--no-all-versions', name])
		const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(stdout)?.[1]
		const version = field('Version')
		const sha256 = field('SHA256')
		if (version === undefined || sha256 === undefined || field('Package') !== name) return null
		return { name, version, sha256, sizeBytes: Number(field('Size') ?? 0) }
	}

	/**
	 * Fetches the package lists once a day at most. A failure is kept for later: one source of several may have failed, or old lists may do.
	 */
	private async ensureLists(): Promise<void> {
		if (this.updated) return
		this.updated = true
		await this.configure()
		const age_ms = Date.now() - ((await stat(this.stamp).catch(() => null))?.mtimeMs ?? 0)
		if (age_ms < LISTS_MAX_AGE_MS) return
		this.progress("fetching Debian's package lists")
		const result = await this.apt('apt-get', ['-q', 'update'])
		if (result.code === 0) await writeFile(this.stamp, '')
		else this.updateError = aptError('could not fetch the package lists', result)
	}

	private async configure(): Promise<void> {
		for (const name of ['lists/partial', 'cache/archives/partial']) await mkdir(join(this.directory, name), { recursive: true })
		await writeFile(join(this.directory, 'status'), '')
		await writeFile(`${this.config}.new`, aptConfiguration(this.directory))
		await rename(`${this.config}.new`, this.config)
	}

	private apt(program: string, args: readonly string[], cwd?: string): Promise<RunResult> {
		return run(program, ['-c', this.config, ...args], cwd)
	}
}

/** Read after the host's own configuration (apt's -c), so it overrides that. Only the Packages index is fetched, and no hook runs. */
function aptConfiguration(directory: string): string {
	const quoted = (path: string) => `"${path}"`
	return `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
#clear Acquire::IndexTargets;
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Dir::State ${quoted(directory)};
Dir::State::lists ${quoted(join(directory, 'lists'))};
Dir::State::status ${quoted(join(directory, 'status'))};
Dir::Cache ${quoted(join(directory, 'cache'))};
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::IndexTargets::deb::Packages {
	MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
	flatMetaKey "Packages";
	ShortDescription "Packages";
	Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
	flatDescription "$(RELEASE) Packages";
	Optional "0";
};
`
}

/** Compares two strings as versions: runs of digits by value, the rest by code unit. */
export function compareVersions(a: string, b: string): number {
	const left = a.match(/\d+|\D+/g) ?? []
	const right = b.match(/\d+|\D+/g) ?? []
	for (let i = 0; i < Math.max(left.length, right.length); i++) {
		const x = left[i] ?? ''
		const y = right[i] ?? ''
		if (x === y) continue
		const numeric = Number(x) - Number(y)
		return x !== '' && y !== '' && !Number.isNaN(numeric) ? numeric : x < y ? -1 : 1
	}
	return 0
}

interface RunResult {
	readonly code: number | null
	readonly stdout: string
	readonly stderr: string
}

function run(program: string, args: readonly string[], cwd?: string): Promise<RunResult> {
	return new Promise((resolve, reject) => {
		const child = spawn(program, args, { cwd, env: { ...process.env, LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'pipe'] })
		let stdout = ''
		let stderr = ''
		child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
		child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
		child.on('error', reject)
		child.on('close', (code) => resolve({ code, stdout, stderr }))
	})
}

/** dpkg-deb writes the package's tar to tar's standard input; both must succeed. */
async function extract(archive: string, globs: readonly string[], target: string): Promise<void> {
	const dpkg = spawn('dpkg-deb', ['--fsys-tarfile', archive], { stdio: ['ignore', 'pipe', 'pipe'] })
	const tarArguments = ['-x', '-f', '-', '-C', target, '--no-same-owner', '--wildcards', ...globs]
	const tar = spawn('tar', tarArguments, { env: { ...process.env, LC_ALL: 'C' }, stdio: [dpkg.stdout, 'ignore', 'pipe'] })
	const unpacked = finished(tar)
	// Or dpkg-deb would write for ever to a pipe that only this process still holds.
	void unpacked.finally(() => dpkg.stdout.destroy())
	const results = await Promise.all([unpacked, finished(dpkg)])
	const failed = results.find((result) => result.code !== 0)
	if (failed) throw new UserError(`could not unpack ${archive}: ${lastLine(failed.stderr)}`, { code: 'bad-package' })
}

function finished(child: ReturnType<typeof spawn>): Promise<{ code: number | null; stderr: string }> {
	return new Promise((resolve, reject) => {
		let stderr = ''
		child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
		child.on('error', reject)
		child.on('close', (code) => resolve({ code, stderr }))
	})
}

function sha256OfFile(path: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const hash = createHash('sha256')
		createReadStream(path)
			.on('data', (chunk) => hash.update(chunk))
			.on('error', reject)
			.on('end', () => resolve(hash.digest('hex')))
	})
}

function lastLine(text: string): string {
	return text.trim().split('\n').at(-1) ?? ''
}

function aptError(what: string, result: RunResult): UserError {
	const reasons = result.stderr.split('\n').filter((line) => /^[EW]:/.test(line))
	return new UserError(`${what}: ${reasons.slice(-3).join(' ') || `apt exited with ${result.code}`}`, { code: 'apt-failed' })
}
