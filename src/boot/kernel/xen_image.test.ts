import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as N from '../../abi/elfnote.ts'
import { extractKernel } from './bzimage.ts'
import { PT_LOAD, PT_NOTE, SHT_NOTE } from './elf.ts'
import { ImageError } from './image_error.ts'
import { COMPRESSED_SAMPLES } from './test_compressed_samples.ts'
import { makeElf, makeNotes } from './test_elf.ts'
import { parseXenImage } from './xen_image.ts'

const BASE = 0xffffffff80000000n
const CODE = { type: PT_LOAD, paddr: 0x1000000n, memorySize: 0x3000n, data: Uint8Array.of(1, 2, 3) }
const NOTES = {
	[N.XEN_ELFNOTE_GUEST_OS]: 'linux',
	[N.XEN_ELFNOTE_XEN_VERSION]: 'xen-3.0',
	[N.XEN_ELFNOTE_LOADER]: 'generic',
	[N.XEN_ELFNOTE_VIRT_BASE]: BASE,
	[N.XEN_ELFNOTE_ENTRY]: BASE + 0x1000100n,
	[N.XEN_ELFNOTE_INIT_P2M]: 0x8000000000n,
	[N.XEN_ELFNOTE_MOD_START_PFN]: 1n,
	[N.XEN_ELFNOTE_SUPPORTED_FEATURES]: 0x8801n,
	[N.XEN_ELFNOTE_FEATURES]: '!writable_page_tables|pae_pgdir_above_4gb',
}

function kernel(changes: Record<number, bigint | string | undefined> = {}): Uint8Array {
	const notes = Object.fromEntries(Object.entries({ ...NOTES, ...changes }).filter(([, value]) => value !== undefined)) as typeof NOTES
	return makeElf({ segments: [CODE, { type: PT_NOTE, data: makeNotes(notes) }] })
}

function refused(image: Uint8Array, message: RegExp): void {
	assert.throws(
		() => parseXenImage(image),
		(error) => error instanceof ImageError && message.test(error.message),
	)
}

test('parseXenImage() reads the notes of a Linux kernel', () => {
	const image = parseXenImage(kernel())
	assert.equal(image.virtBase, -0x80000000)
	assert.equal(image.entry, -0x80000000 + 0x1000100)
	assert.deepEqual([image.start, image.end], [0x1000000, 0x1003000])
	assert.equal(image.initP2m, 0x8000000000)
	assert.equal(image.modStartPfn, true)
	assert.equal(image.hypercallPage, null)
	assert.equal(image.supportedFeatures, 0x8811)
	assert.equal(image.requiredFeatures, 1)
})

test('parseXenImage() takes notes from sections when no segment has any', () => {
	const sections = [{ name: '.note.Xen', type: SHT_NOTE, data: makeNotes(NOTES) }]
	const foreign = { type: PT_NOTE, data: makeNotes({ 1: 0n }, 'GNU') }
	const image = parseXenImage(makeElf({ segments: [CODE, foreign], sections }))
	assert.equal(image.notes.source, 'section')
	assert.equal(image.entry, -0x80000000 + 0x1000100)
})

test('parseXenImage() reads the __xen_guest string of old kernels: PADDR_OFFSET is VIRT_BASE, HYPERCALL_PAGE a page number', () => {
	const text =
		'GUEST_OS=linux,GUEST_VER=2.6,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,VIRT_ENTRY=0xffffffff80100000,HYPERCALL_PAGE=0x102,LOADER=generic\0'
	const sections = [{ name: '__xen_guest', type: 1, data: new TextEncoder().encode(text) }]
	const image = parseXenImage(makeElf({ segments: [{ ...CODE, paddr: BASE + 0x100000n }], sections }))
	assert.equal(image.notes.source, 'guest-string')
	assert.equal(image.start, 0x100000)
	assert.equal(image.hypercallPage, -0x80000000 + 0x102000)
	assert.equal(image.initP2m, null)
})

test('parseXenImage() ignores an INIT_P2M above VIRT_BASE', () => {
	assert.equal(parseXenImage(kernel({ [N.XEN_ELFNOTE_INIT_P2M]: BASE + 0x40000000n })).initP2m, null)
})

test('parseXenImage() says why it refuses a kernel', () => {
	refused(makeElf({ segments: [CODE] }), /no Xen ELF notes/)
	refused(kernel({ [N.XEN_ELFNOTE_ENTRY]: undefined, [N.XEN_ELFNOTE_PHYS32_ENTRY]: 0x1000000n }), /PVH only/)
	refused(kernel({ [N.XEN_ELFNOTE_XEN_VERSION]: undefined }), /XEN_VERSION is ''/)
	refused(kernel({ [N.XEN_ELFNOTE_LOADER]: 'other', [N.XEN_ELFNOTE_GUEST_OS]: 'plan9' }), /LOADER 'other'/)
	refused(kernel({ [N.XEN_ELFNOTE_FEATURES]: '!dom0' }), /only be dom0's/)
	refused(kernel({ [N.XEN_ELFNOTE_FEATURES]: '!auto_translated_physmap' }), /auto_translated_physmap/)
	refused(kernel({ [N.XEN_ELFNOTE_FEATURES]: '!time_travel' }), /'time_travel', which is unknown/)
	refused(kernel({ [N.XEN_ELFNOTE_ENTRY]: BASE }), /entry point .* is outside/)
	refused(kernel({ [N.XEN_ELFNOTE_VIRT_BASE]: undefined, [N.XEN_ELFNOTE_PADDR_OFFSET]: 0n }), /PADDR_OFFSET note but no VIRT_BASE/)
	refused(kernel({ [N.XEN_ELFNOTE_VIRT_BASE]: 1n << 63n }), /segment|entry|canonical/)
	refused(makeElf({ segments: [{ type: PT_NOTE, data: makeNotes(NOTES) }] }), /no loadable segments/)
})

test('parseElf() says what is wrong with the file', () => {
	const i386 = kernel()
	i386[4] = 1
	i386[18] = 3
	refused(i386, /32-bit \(i386\)/)
	const arm = kernel()
	arm[18] = 183
	refused(arm, /machine 183/)
	refused(kernel().subarray(0, 70), /truncated/)
	const whole = kernel()
	new DataView(whole.buffer).setBigUint64(64 + 32, 1n << 40n, true)
	refused(whole, /truncated: segment 0 ends/)
})

test('parseXenImage() of a damaged kernel throws nothing but ImageError', () => {
	const seed = Math.floor(Math.random() * 2 ** 32)
	let state = seed | 1
	const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8
	for (let round = 0; round < 2000; round++) {
		const damaged = kernel()
		for (let i = 0; i < 3; i++) damaged[random() % damaged.length] = random()
		try {
			parseXenImage(damaged)
		} catch (error) {
			if (!(error instanceof ImageError)) throw new Error(`seed ${seed}, round ${round}`, { cause: error })
		}
	}
})

function makeBzImage(payload: Uint8Array, version = 0x20f): Uint8Array {
	const image = new Uint8Array(1024 + 0x2cc + payload.length)
	const view = new DataView(image.buffer)
	image[0x1f1] = 1
	view.setUint32(0x202, 0x53726448, true)
	view.setUint16(0x206, version, true)
	view.setUint32(0x248, 0x2cc, true)
	view.setUint32(0x24c, payload.length, true)
	image.set(payload, 1024 + 0x2cc)
	return image
}

test('extractKernel() finds the ELF image: bare, in a bzImage, and packed', async () => {
	const elf = kernel()
	assert.deepEqual(extractKernel(elf, 1 << 20), elf)
	assert.deepEqual(extractKernel(makeBzImage(elf), 1 << 20), elf)
	const stream = new Blob([Uint8Array.from(elf)]).stream().pipeThrough(new CompressionStream('gzip'))
	const packed = new Uint8Array(await new Response(stream).arrayBuffer())
	assert.deepEqual(extractKernel(makeBzImage(packed), 1 << 20), elf)
	assert.deepEqual(extractKernel(packed, 1 << 20), elf)
})

test('extractKernel() says what is wrong with the image', () => {
	const refuse = (image: Uint8Array, message: RegExp) => assert.throws(() => extractKernel(image, 1 << 20), message)
	refuse(new Uint8Array(0), /is empty/)
	refuse(new TextEncoder().encode('#!/bin/sh\n'), /neither a Linux bzImage nor an ELF image/)
	refuse(makeBzImage(kernel(), 0x204), /boot protocol 2\.4/)
	refuse(makeBzImage(kernel()).subarray(0, 1800), /bzImage is truncated/)
	refuse(makeBzImage(Uint8Array.of(9, 9, 9, 9, 9, 9)), /unknown compression/)
	refuse(makeBzImage(Uint8Array.from(Buffer.from(COMPRESSED_SAMPLES.lz4, 'base64'))), /payload is not an ELF image/)
})
