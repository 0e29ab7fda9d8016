import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DomainRecord } from '../../toolstack/domain_record.ts'
import { RecordFiles } from './record_files.ts'

function setUp() {
	const directory = mkdtempSync(join(tmpdir(), 'xenotype-test-'))
	const managed = join(directory, 'state', 'domains')
	const others = join(directory, 'run')
	return { managed, others, files: new RecordFiles({ managed, others }), [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
}

function record(name: string, managed: boolean, uuid = `00000000-0000-0000-0000-00000000000${name.length}`): DomainRecord {
	return { version: 1, values: { name, uuid, kernel: '/k' }, managed, phase: { is: 'halted' }, bootId: '', startTime_s: 0, restartCount: 0 }
}

test('records are found again, each in its directory, open to its owner alone', async () => {
	using made = setUp()
	const { files, managed, others } = made
	await files.save(record('one', true))
	await files.save(record('four', false))
	await files.save({ ...record('four', false), restartCount: 3 })
	assert.deepEqual([readdirSync(managed).length, readdirSync(others).length], [1, 1])
	assert.equal(statSync(join(managed, readdirSync(managed)[0]!)).mode & 0o077, 0)
	const { records, unreadable } = await new RecordFiles({ managed, others }).load()
	assert.deepEqual(records, [{ ...record('four', false), restartCount: 3 }, record('one', true)])
	assert.deepEqual(unreadable, [])
	for (const { values } of records) await files.remove(String(values.uuid))
	await files.remove('not there')
	assert.deepEqual((await files.load()).records, [])
})

test('what a writer that was killed left is cleared away, and the record before it counts', async () => {
	using made = setUp()
	const { files, others } = made
	await files.save(record('one', false))
	writeFileSync(join(others, `${record('one', false).values.uuid}.json.new`), '{"version":1,')
	assert.deepEqual((await files.load()).records, [record('one', false)])
	assert.equal(readdirSync(others).length, 1)
})

test('a record that was made a managed one is found once', async () => {
	using made = setUp()
	await made.files.save(record('one', false))
	await made.files.save(record('one', true))
	assert.deepEqual((await made.files.load()).records, [record('one', true)])
})

test('a file that is no record is set aside and told of', async () => {
	using made = setUp()
	const { files, others } = made
	await files.save(record('one', false))
	const path = join(others, '00000000-0000-0000-0000-0000000000ff.json')
	writeFileSync(path, '{"version":2}')
	const { records, unreadable } = await files.load()
	assert.equal(records.length, 1)
	assert.deepEqual(unreadable, [`${path}: it is of version 2, not 1`])
	assert.deepEqual((await files.load()).unreadable, [], 'once')
	assert.equal(readdirSync(others).filter((name) => name.endsWith('.unreadable')).length, 1)
})

test('a record that cannot be written is an error that names its file', async () => {
	using made = setUp()
	const { files, others } = made
	writeFileSync(others, 'no directory')
	await assert.rejects(files.save(record('one', false)), {
		name: 'UserError',
		message: `Cannot write the domain's record ${join(others, '00000000-0000-0000-0000-000000000003.json')}: file already exists`,
	})
})
