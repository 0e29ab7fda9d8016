// Runs cases on the real processor through native/harness.c.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IsaCase, Outcome, Patch } from './case.ts'
import * as map from './memory_map.ts'
import { normalise } from './normalise.ts'
import { STATE_SIZE } from './state.ts'

const SOURCE = new URL('./native/harness.c', import.meta.url)
const REQUEST_SIZE = STATE_SIZE + 8
const REPLY_SIZE = STATE_SIZE + 24
const BATCH = 4000

/** Why this machine can't judge instructions, or undefined when it can. */
export function nativeUnavailable(): string | undefined {
	if (process.platform !== 'linux' || process.arch !== 'x64')
		return `needs an x86-64 Linux host, this is ${process.arch} ${process.platform}`
	if (spawnSync('gcc', ['--version']).status !== 0) return 'needs gcc'
	const probe = spawnSync(buildHarness(), { input: map.BACKGROUND })
	return probe.status === 0 ? undefined : String(probe.stderr).trim()
}

/** Compiles the harness unless that has been done: its name tells what it was made from. Returns its path. */
function buildHarness(): string {
	const { CODE_VA, CODE_SIZE, DATA_VA, DATA_SIZE, READ_ONLY_OFFSET, HIGH_VA, FS_BASE, GS_BASE, GS32_BASE } = map
	const constants = { CODE_VA, CODE_SIZE, DATA_VA, DATA_SIZE, READ_ONLY_OFFSET, HIGH_VA, FS_BASE, GS_BASE, GS32_BASE }
	const defines = Object.entries(constants).map(([name, value]) => `-D${name}=${value}`)
	const options = ['-O2', '-Wall', '-fno-stack-protector', '-fcf-protection=none', '-fpie', '-pie', ...defines]
	const hash = createHash('sha256').update(options.join(' ')).update(readFileSync(SOURCE)).digest('hex').slice(0, 12)
	const folder = join(tmpdir(), `xenotype-isa-${process.getuid?.() ?? 0}`)
	const program = join(folder, `harness-${hash}`)
	if (existsSync(program)) return program
	mkdirSync(folder, { recursive: true, mode: 0o700 })
	// Under another name first: whoever else compiles it meanwhile finds none or a whole one.
	const unfinished = `${program}.${process.pid}`
	const gcc = spawnSync('gcc', [...options, SOURCE.pathname, '-o', unfinished], { encoding: 'utf8' })
	if (gcc.status !== 0) throw new Error(`cannot compile ${SOURCE.pathname}:\n${gcc.stderr}`)
	renameSync(unfinished, program)
	return program
}

/** Runs the cases natively, in order; outcomes are normalised. */
export function runNative(cases: readonly IsaCase[]): Outcome[] {
	const program = buildHarness()
	const outcomes: Outcome[] = []
	for (let at = 0; at < cases.length; at += BATCH) outcomes.push(...runBatch(program, cases.slice(at, at + BATCH)))
	return outcomes.map((outcome, i) => normalise(cases[i] as IsaCase, outcome))
}

function runBatch(program: string, cases: readonly IsaCase[]): Outcome[] {
	const input = Buffer.concat([map.BACKGROUND, ...cases.flatMap(encodeRequest)])
	const run = spawnSync(program, { input, maxBuffer: 1 << 30 })
	if (run.status !== 0) {
		if (cases.length === 1)
			throw new Error(`the harness failed on '${cases[0]?.label}' ${Buffer.from(cases[0]?.code ?? []).toString('hex')}: ${run.stderr}`)
		const half = cases.length >> 1
		runBatch(program, cases.slice(0, half))
		runBatch(program, cases.slice(half))
		throw new Error(`the harness failed on a batch, but on neither half of it: ${run.stderr}`)
	}
	return decodeReplies(run.stdout, cases.length)
}

function encodeRequest(test: IsaCase): Uint8Array[] {
	const tail = Buffer.alloc(REQUEST_SIZE - STATE_SIZE)
	tail.writeUInt16LE(test.code.length, 0)
	tail.writeUInt16LE(test.memory.length, 2)
	tail.writeUInt32LE(test.writableCode ? 1 : 0, 4)
	const parts: Uint8Array[] = [test.state, tail, test.code]
	for (const patch of test.memory) {
		const head = Buffer.alloc(4)
		head.writeUInt16LE(patch.offset, 0)
		head.writeUInt16LE(patch.bytes.length, 2)
		parts.push(head, patch.bytes)
	}
	return parts
}

function decodeReplies(bytes: Buffer, count: number): Outcome[] {
	const outcomes: Outcome[] = []
	let at = 0
	for (let i = 0; i < count; i++) {
		const state = Uint8Array.prototype.slice.call(bytes, at, at + STATE_SIZE)
		const vector = bytes.readUInt32LE(at + STATE_SIZE)
		const error = bytes.readUInt32LE(at + STATE_SIZE + 4)
		const cr2 = bytes.readBigUInt64LE(at + STATE_SIZE + 8)
		const patches = bytes.readUInt32LE(at + STATE_SIZE + 16)
		const memory: Patch[] = []
		at += REPLY_SIZE
		for (let p = 0; p < patches; p++) {
			const length = bytes.readUInt16LE(at + 2)
			memory.push({ offset: bytes.readUInt16LE(at), bytes: Uint8Array.prototype.slice.call(bytes, at + 4, at + 4 + length) })
			at += 4 + length
		}
		outcomes.push({ vector, error, cr2, state, memory })
	}
	if (at !== bytes.length) throw new Error(`the harness sent ${bytes.length} bytes, ${at} were expected`)
	return outcomes
}
