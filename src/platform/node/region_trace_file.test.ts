import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openRegionTrace } from './region_trace_file.ts'

test('openRegionTrace() appends one JSON object a line, and traces nothing that is not asked for', () => {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	try {
		assert.equal(openRegionTrace({ domid: 1, vcpu: 0 }, {}), undefined)
		const path = join(directory, 'trace')
		const env = { XENOTYPE_TRACE: path }
		openRegionTrace({ domid: 1, vcpu: 0 }, env)?.({ type: 'refused', physical: 4096 })
		openRegionTrace({ domid: 2, vcpu: 0 }, env)?.({ type: 'optimised', id: 7, time_ms: 1.5 })
		const [first, second] = readFileSync(path, 'utf8').split('\n')
		assert.match(first!, /^\{"now_ms":\d+,"domid":1,"vcpu":0,"type":"refused","physical":4096\}$/)
		assert.match(second!, /"domid":2,"vcpu":0,"type":"optimised","id":7,"time_ms":1\.5\}$/)
		assert.throws(() => openRegionTrace({ domid: 1, vcpu: 0 }, { XENOTYPE_TRACE: join(path, 'below-a-file') }), { code: 'ENOTDIR' })
	} finally {
		rmSync(directory, { recursive: true })
	}
})
