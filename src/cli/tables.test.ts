import assert from 'node:assert/strict'
import { test } from 'node:test'
import { infoRow, listHeading, listRow, span, uptimeHeading, uptimeRow, vcpuHeading, vcpuRow, wrap } from './tables.ts'

const domain = { uuid: '', maxmem_mib: 0, startTime_s: 0, restartCount: 0 }

// The lines are The Book of Xen's, chapter 2.
test('xm list is laid out as xend laid it out', () => {
	assert.equal(listHeading(), 'Name                                        ID   Mem VCPUs      State   Time(s)')
	assert.equal(
		listRow({ ...domain, name: 'Domain-0', domid: 0, memory_mib: 1000, vcpus: 2, state: 'r-----', cpuTime_s: 5068.62 }),
		'Domain-0                                     0  1000     2     r-----   5068.6',
	)
})

test('a row agrees with the capture of real Xen up to its tabulators', () => {
	const captured = 'pvtest                                       1   256     1     -b----      19.9'
	const row = listRow({ ...domain, name: 'pvtest', domid: 1, memory_mib: 256, vcpus: 1, state: '-b----', cpuTime_s: 19.9 })
	assert.equal(row, captured.replace('-b----      19.9', '-b----     19.9'))
})

test('xm info aligns its values at column 25 and shows what is empty as (none)', () => {
	assert.equal(infoRow('host', 'dom0'), 'host                   : dom0')
	assert.equal(infoRow('xen_changeset', ''), 'xen_changeset          : (none)')
})

test('xm uptime agrees with the capture of real Xen but for the width of the hours', () => {
	assert.equal(uptimeHeading(), 'Name                                ID Uptime')
	assert.equal(uptimeRow('pvtest', 1, 65), 'pvtest                               1  0:01:05')
	assert.equal(span(86400 + 3661, { seconds: true }), '1 day,  1:01:01')
	assert.equal(span(2 * 86400 + 12 * 3600, { seconds: false }), '2 days, 12:00')
})

test('xm vcpu-list is laid out as xend laid it out', () => {
	assert.equal(vcpuHeading(), 'Name                                ID  VCPU   CPU State   Time(s) CPU Affinity')
	const state = { online: true, running: true, blocked: false, cpuTime_s: 301.5 }
	assert.equal(vcpuRow('Domain-0', 0, 0, state), 'Domain-0                             0     0     -   r--     301.5 any cpu')
	assert.equal(
		vcpuRow('x', 3, 1, { ...state, online: false, cpuTime_s: 0 }),
		'x                                    3     1     -   --p       0.0 any cpu',
	)
})

test('wrap() breaks at spaces', () => {
	assert.deepEqual(wrap('one two three', 7), ['one two', 'three'])
	assert.deepEqual(wrap('abcdefgh ij', 4), ['abcdefgh', 'ij'])
})
