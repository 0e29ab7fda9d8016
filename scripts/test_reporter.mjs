// For node --test: a line a file, failures in full, and the counts.
import { relative } from 'node:path'
import { inspect } from 'node:util'

const at = (data) => (data.file === undefined ? '' : `${relative(process.cwd(), data.file)}:${data.line}`)

export default async function* report(source) {
	let passed = 0
	let failed = 0
	const skipped = []
	/** By file: what it wrote to stderr, shown when the file itself fails (it threw while loading, or its process died). */
	const complaints = new Map()
	for await (const { type, data } of source) {
		const isFile =
			data.name !== undefined &&
			data.file !== undefined &&
			data.nesting === 0 &&
			data.details?.type === 'suite' &&
			data.name.endsWith('.ts')
		if (type === 'test:pass' && data.details?.type !== 'suite' && !isFile) {
			if (data.skip !== undefined) skipped.push(`${data.name}: ${data.skip === true ? 'skipped' : data.skip}`)
			else passed++
		}
		if (type === 'test:fail' && data.details?.error?.failureType !== 'subtestsFailed') {
			failed++
			const error = data.details?.error
			if (error?.code === 'ERR_TEST_FAILURE' && error.failureType === 'testCodeFailure' && complaints.has(data.name)) {
				yield `\nFAILED ${data.name}\n${indent(complaints.get(data.name).trimEnd())}\n`
				continue
			}
			yield `\nFAILED ${at(data)} ${data.name}\n${indent(inspect(error?.cause ?? error, { colors: false, depth: 6 }))}\n`
		}
		if (type === 'test:stderr') complaints.set(data.file, (complaints.get(data.file) ?? '') + data.message)
		if ((type === 'test:stdout' || type === 'test:stderr') && process.env.XENOTYPE_TEST_OUTPUT) yield data.message
	}
	for (const line of skipped) yield `       skipped ${line}\n`
	yield `       ${passed} passed${failed > 0 ? `, ${failed} FAILED` : ''}${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}\n`
}

function indent(text) {
	return text.replace(/^/gm, '    ')
}
