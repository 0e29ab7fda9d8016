// npm run bench:translating [-- --ms N --rounds N NAME ...]: what making the regions of the programs takes, for each of the guest's instructions: building
// them in JavaScript, and V8's two compilers. CPU time of the process, which is where V8 compiles and collects garbage. The first round is a cold translator's.
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { loadCore } from '../src/platform/node/load_core.ts'
import { compileBaseline, compileOptimised } from '../src/platform/node/v8_wasm.ts'
import { type CompileRequest, LocalCompiler } from '../src/x86/translator/compiler.ts'
import { regionModule } from '../src/x86/translator/core_imports.ts'
import { buildRegion } from '../src/x86/translator/region_builder.ts'
import { buildingRoom, runFlat } from './flat_machine.ts'
import { buildPrograms, PROGRAMS, runsWithoutKernel } from './programs.ts'

const LIMIT_MS = 120_000
/** No instance is made of the modules. */
const MEMORY_PAGES = 1

class RecordingCompiler extends LocalCompiler {
	readonly requests: CompileRequest[] = []

	override request(request: CompileRequest): void {
		this.requests.push(request)
		super.request(request)
	}
}

const { values, positionals } = parseArgs({
	options: { ms: { type: 'string', default: '200' }, rounds: { type: 'string', default: '5' } },
	allowPositionals: true,
})
setFlagsFromString('--experimental-wasm-branch-hinting')
const built = buildPrograms(
	PROGRAMS.filter((program) => runsWithoutKernel(program) && (positionals.length === 0 || positionals.includes(program.name))),
)
if (built === null) throw new Error('there is no gcc, which builds the programs')
const core = await loadCore((line) => process.stderr.write(`${line}\n`))
const room = buildingRoom(core)
const compiler = new RecordingCompiler(room)
for (const { path } of built.programs) runFlat(core, path, ['-t', values.ms], LIMIT_MS, { translated: true, compiler })

function time_ms(work: () => void): number {
	const before = process.cpuUsage()
	work()
	const { user, system } = process.cpuUsage(before)
	return (user + system) / 1000
}

process.stdout.write('round   regions   instructions   bytes each   build µs each   baseline µs each   optimised µs each\n')
for (let round = 1; round <= Number(values.rounds); round++) {
	const regions = compiler.requests.flatMap(({ snapshot, target }) => buildRegion(snapshot, target, room) ?? [])
	const instructions = regions.reduce((sum, region) => sum + region.instructions, 0)
	const bytes = regions.reduce((sum, { body }) => sum + body.bytes.length, 0)
	const each = (time: number) => ((time * 1000) / instructions).toFixed(1)
	const building = time_ms(() => {
		for (const { snapshot, target } of compiler.requests) buildRegion(snapshot, target, room)
	})
	// With an empty custom section of another name each round, for V8 has one compiled module for the same bytes.
	const modules = regions.map(({ body }) => Uint8Array.of(...regionModule([body], MEMORY_PAGES), 0, 2, 1, round))
	const baseline = time_ms(() => modules.forEach(compileBaseline))
	const optimised = time_ms(() => modules.forEach(compileOptimised))
	const cells = [round, regions.length, instructions, (bytes / instructions).toFixed(1), each(building), each(baseline), each(optimised)]
	process.stdout.write(`${cells.map((cell, n) => String(cell).padStart([5, 9, 14, 12, 15, 18, 19][n]!)).join(' ')}\n`)
}
