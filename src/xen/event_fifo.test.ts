import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EINVAL, XEN_ENOENT, XEN_ENOSPC, XEN_EOPNOTSUPP } from '../abi/errno.ts'
import { EVTCHN_FIFO_MASKED, EVTCHN_FIFO_PENDING, EVTCHN_FIFO_PRIORITY_MAX, EVTCHN_FIFO_PRIORITY_MIN } from '../abi/event_channel.ts'
import { VIRQ_CONSOLE } from '../abi/xen.ts'
import { bindIpi, bindVcpu, bindVirq, closePort, guestSend, raiseVirq, setPriority, unmaskPort } from './event_channel.ts'
import { destroyFifo, expandArray, type FrameClaims, initControl } from './event_fifo.ts'
import { fifoGuest, takeUpcall } from './event_guest.ts'
import { testDomain } from './testing.ts'

const CONTROL_MFN = 10
const ARRAY_MFN = 11

/** A domain on the FIFO ABI with words for its first 1024 ports, one control block a vCPU, and its guest's half. */
function fifoDomain(vcpus = 1) {
	const domain = testDomain({ vcpus })
	const claimed: number[] = []
	const claims: FrameClaims = {
		claim: (mfn) => mfn < 256 && claimed.push(mfn) > 0,
		release: (mfn) => void claimed.splice(claimed.indexOf(mfn), 1),
	}
	for (let vcpu = 0; vcpu < vcpus; vcpu++) assert.equal(initControl(domain, claims, vcpu, CONTROL_MFN, vcpu * 128), 0)
	const expand = () => expandArray(domain, claims, ARRAY_MFN)
	const block = domain.machine.frameAddress(CONTROL_MFN)
	const guests = Array.from({ length: vcpus }, (_, vcpu) => fifoGuest(domain, block + vcpu * 128, [ARRAY_MFN]))
	const words = domain.machine.u32
	const word = (port: number) => (domain.machine.frameAddress(ARRAY_MFN) >>> 2) + port
	/** The ports that a vCPU's upcall hands out, in order; none when there is no upcall. */
	const upcall = (vcpu = 0) => {
		const ports: number[] = []
		if (takeUpcall(domain, vcpu)) guests[vcpu]?.upcall((port) => ports.push(port))
		return ports
	}
	return { domain, claims, claimed, expand, words, word, upcall, guest: guests[0] as NonNullable<(typeof guests)[0]> }
}

test('initControl() checks the vCPU, the place and the frame, once for each vCPU', () => {
	const domain = testDomain({ vcpus: 2 })
	const claims: FrameClaims = { claim: (mfn) => mfn < 256, release() {} }
	assert.equal(initControl(domain, claims, 2, 10, 0), -XEN_ENOENT)
	assert.equal(initControl(domain, claims, 0, 10, 4096 - 64), -XEN_EINVAL)
	assert.equal(initControl(domain, claims, 0, 10, 4), -XEN_EINVAL)
	assert.equal(initControl(domain, claims, 0, 2 ** 40, 0), -XEN_EINVAL)
	assert.equal(expandArray(domain, claims, 11), -XEN_EOPNOTSUPP)
	assert.equal(initControl(domain, claims, 0, 10, 4096 - 72), 0)
	assert.equal(initControl(domain, claims, 0, 10, 0), -XEN_EINVAL)
	assert.equal(expandArray(domain, claims, 2 ** 40), -XEN_EINVAL)
	for (let page = 0; page < 128; page++) assert.equal(expandArray(domain, claims, 11), 0)
	assert.equal(expandArray(domain, claims, 11), -XEN_ENOSPC)
})

test('events come in the order they were sent, each once', () => {
	const { domain, expand, upcall } = fifoDomain()
	expand()
	const [a, b, c] = [bindIpi(domain, 0), bindIpi(domain, 0), bindIpi(domain, 0)]
	for (const port of [b, a, c, b]) guestSend(domain, port)
	assert.deepEqual(upcall(), [b, a, c])
	assert.deepEqual(upcall(), [])
	guestSend(domain, a)
	assert.deepEqual(upcall(), [a])
})

test('an event of higher priority overtakes, whenever it was sent', () => {
	const { domain, expand, upcall } = fifoDomain()
	expand()
	const [low, normal, high] = [bindIpi(domain, 0), bindIpi(domain, 0), bindIpi(domain, 0)]
	setPriority(domain, low, EVTCHN_FIFO_PRIORITY_MIN)
	setPriority(domain, high, EVTCHN_FIFO_PRIORITY_MAX)
	for (const port of [low, normal, high]) guestSend(domain, port)
	assert.deepEqual(upcall(), [high, normal, low])
})

test('a masked event is pending but not linked; unmasking links and delivers it', () => {
	const { domain, expand, upcall, guest, words, word } = fifoDomain()
	expand()
	const port = bindIpi(domain, 0)
	guest.mask(port)
	guestSend(domain, port)
	assert.equal(words[word(port)], ((1 << EVTCHN_FIFO_PENDING) | (1 << EVTCHN_FIFO_MASKED)) >>> 0)
	assert.deepEqual(upcall(), [])
	guest.unmask(port, (masked) => unmaskPort(domain, masked))
	assert.deepEqual(upcall(), [port])
})

test('an event sent before its word exists comes when the array is expanded', () => {
	const { domain, expand, upcall } = fifoDomain()
	const port = bindIpi(domain, 0)
	guestSend(domain, port)
	assert.deepEqual(upcall(), [])
	expand()
	assert.deepEqual(upcall(), [port])
})

test('an event that moves to another vCPU while it is the tail leaves no trace in the old queue', () => {
	const { domain, expand, upcall } = fifoDomain(2)
	expand()
	const moving = bindVirq(domain, VIRQ_CONSOLE, 0)
	const staying = bindIpi(domain, 0)
	raiseVirq(domain, 0, VIRQ_CONSOLE)
	assert.deepEqual(upcall(0), [moving])
	bindVcpu(domain, moving, 1)
	raiseVirq(domain, 0, VIRQ_CONSOLE)
	guestSend(domain, staying)
	assert.deepEqual(upcall(0), [staying])
	assert.deepEqual(upcall(1), [moving])
})

test('a closed port whose event is still linked is not used again until the guest has unlinked it', () => {
	const { domain, expand, upcall } = fifoDomain()
	expand()
	const port = bindIpi(domain, 0)
	guestSend(domain, port)
	closePort(domain, port)
	assert.equal(bindIpi(domain, 0), port + 1)
	assert.deepEqual(upcall(), [], 'no longer pending')
	assert.equal(bindIpi(domain, 0), port)
})

test('a queue that the guest has corrupted is survived: links into nowhere are never followed', () => {
	const { domain, expand, words, word } = fifoDomain()
	expand()
	const ports = Array.from({ length: 20 }, () => bindIpi(domain, 0))
	for (let round = 0; round < 200; round++) {
		for (const port of ports) {
			words[word(port)] = ((round * 2654435761 + port * 40503) & ~(1 << EVTCHN_FIFO_MASKED)) >>> 0
			guestSend(domain, port)
			if (round % 3 === 0) words[word(port)] = 0xffff_ffff
			if (round % 5 === 0) unmaskPort(domain, port)
		}
		domain.machine.framePage(CONTROL_MFN).fill(round)
	}
	for (const port of ports) assert.equal(closePort(domain, port), 0)
})

test('destroyFifo() gives every frame back', () => {
	const { domain, expand, claims, claimed } = fifoDomain(2)
	expand()
	destroyFifo(domain, claims)
	assert.deepEqual(claimed, [])
	assert.equal(initControl(domain, claims, 0, CONTROL_MFN, 0), 0)
})
