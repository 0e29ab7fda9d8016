// npm run bench [-- cpu|setup] [options]: the same programs natively, on our processor alone, in a domain and in QEMU, side by side. See README.md.
import { UserError } from '../src/base/errors.ts'
import { cachedGuestAsset, type GuestAsset } from '../src/platform/node/guest_assets.ts'
import { loadCore } from '../src/platform/node/load_core.ts'
import { runFlat } from './flat_machine.ts'
import { qemuVersion } from './guest.ts'
import { makeImage, makeRealImage } from './guest_image.ts'
import type { Platform } from './measurement.ts'
import { Results } from './measurement.ts'
import { type Options, readOptions } from './options.ts'
import { type Build, buildPrograms, runsWithoutKernel } from './programs.ts'
import { cachedRealTree, ensureRealTree, type RealTree } from './real_packages.ts'
import { heading, present, record } from './record.ts'
import { ALONE_LIMIT_MS, canRun, ROUNDS, type Setup } from './rounds.ts'
import { measureXenstore } from './xenstore/run.ts'

const say = (line: string) => void process.stderr.write(`bench: ${line}\n`)

async function main(): Promise<number> {
	const options = readOptions(process.argv.slice(2))
	if (options.suite === 'xenstore') return xenstore(options)
	return options.suite === 'setup' ? setUp() : measure(options)
}

async function xenstore({ rounds, time_ms, record: keep }: Options): Promise<number> {
	const text = `${heading([`XenStore, medians of ${rounds} rounds of ${time_ms} ms`])}\n${await measureXenstore({ rounds, time_ms }, say)}`
	process.stdout.write(text)
	if (keep) record(text)
	return 0
}

async function setUp(): Promise<number> {
	const { directory, versions } = await ensureRealTree(say)
	say(`the real programs are in ${directory}: ${versions.join(', ')}`)
	return 0
}

async function measure(options: Options): Promise<number> {
	const built = buildPrograms(options.programs)
	if (built === null) throw new UserError('there is no gcc, which builds the programs', { code: 'no-compiler' })
	const wants = (...platforms: Platform[]) => platforms.some((platform) => options.platforms.includes(platform))
	const asset = wants('domain', 'tcg') ? await findGuest(options.guest) : null
	const qemu = wants('tcg') ? qemuVersion() : null
	if (wants('tcg') && qemu === null) say('qemu-system-x86_64 is not installed (package qemu-system-x86): no TCG column')
	const tree = wants('native', 'domain', 'tcg') && options.realPrograms.length > 0 ? await findRealTree() : null
	const setup: Setup = {
		options,
		built,
		core: wants('processor') ? await loadCore(say) : null,
		tree,
		...makeImages(options, built, asset, tree),
		qemu: qemu !== null,
	}
	const platforms = options.platforms.filter((platform) => canRun(platform, setup))
	if (platforms.length === 0) throw new UserError('there is nothing to measure', { code: 'nothing' })
	if (platforms.includes('processor')) warmUp(setup)
	const results = new Results(options)
	for (let round = 1; round <= options.rounds; round++) {
		for (const platform of platforms) {
			say(`round ${round} of ${options.rounds}: ${platform}`)
			try {
				await ROUNDS[platform](setup, results)
			} catch (error) {
				if (!(error instanceof UserError)) throw error
				results.problems.push(`${platform}: ${error.message}`)
			}
		}
	}
	return present(results, options, [
		built.compiler,
		...(asset === null ? [] : [asset.version]),
		...(tree === null ? [] : [`real programs of ${tree.versions.find((line) => line.startsWith('libc6 '))}`]),
		...(qemu === null ? [] : [`QEMU ${qemu}`]),
	])
}

function makeImages(options: Options, built: Build, asset: GuestAsset | null, tree: RealTree | null): Pick<Setup, 'image' | 'realImage'> {
	return {
		image: asset === null || options.programs.length === 0 ? null : makeImage(asset, built, options.time_ms),
		realImage: asset === null || tree === null ? null : makeRealImage(asset, built, options.realPrograms, tree),
	}
}

/** V8 optimises the core while it runs; that is a matter of the first second, and no program's own. */
function warmUp({ built, core }: Setup): void {
	const program = built.programs.find(runsWithoutKernel)
	if (program !== undefined) runFlat(core!, program.path, ['-t', '1000'], ALONE_LIMIT_MS)
}

async function findGuest(name: string): Promise<GuestAsset | null> {
	const asset = await cachedGuestAsset(name)
	if (asset?.ramdisk) return asset
	say(
		`the guest '${name}' is not in the cache, or has no user space: no domain and no TCG columns (npm start, or node scripts/assets.ts ${name}, fetches it)`,
	)
	return null
}

async function findRealTree(): Promise<RealTree | null> {
	const tree = await cachedRealTree()
	if (tree === null) say('the real programs are not in the cache: none of their rows (npm run bench -- setup fetches them)')
	return tree
}

try {
	process.exitCode = await main()
} catch (error) {
	if (!(error instanceof UserError)) throw error
	say(error.message)
	process.exitCode = error.exitCode
}
