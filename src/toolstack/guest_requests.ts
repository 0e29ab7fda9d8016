/** What is asked of a domain that lives on: memory, system requests, triggers, a core of it. */
import { UserError } from '../base/errors.ts'
import type { Trigger } from '../xenctrl/interface.ts'
import { checkConfig } from './config.ts'
import type { Entry } from './domain_table.ts'
import { checkFreeMemory } from './free_memory.ts'
import { isDomain0, type Lifecycle } from './lifecycle.ts'

/** xend's dom0-min-mem. */
const DOM0_MIN_MEMORY_MIB = 196

/** Tells the guest's balloon driver how much memory to use from now on; a managed domain that is halted starts with it. */
export async function setMemory(lifecycle: Lifecycle, reference: string, target_mib: number): Promise<void> {
	if (isDomain0(reference)) throw dom0Memory(target_mib)
	const entry = lifecycle.find(reference)
	await lifecycle.onDomain(entry, reference, async ({ store }) => {
		const { memory_mib, maxmem_mib, name } = entry.config
		if (target_mib > maxmem_mib) {
			throw new UserError(
				`memory_dynamic_max too large: domain '${name}' may have ${maxmem_mib} MiB at most, not ${target_mib} (xm mem-max)`,
			)
		}
		const values = { ...entry.record.values, memory: target_mib, maxmem: maxmem_mib }
		checkConfig(values)
		const { phase } = entry.record
		if (phase.is === 'live') checkFreeMemory(lifecycle.options, (target_mib - memory_mib) * 1024)
		await lifecycle.table.save(entry, { values })
		lifecycle.work.say('info', `Setting memory target of domain ${name} to ${target_mib} MiB.`, entry)
		if (phase.is === 'live') await store.write(`/local/domain/${phase.domid}/memory/target`, target_mib * 1024)
	})
}

/** Sets the most memory that a domain may have: while it lives, at most what its machine was made with. */
export async function setMaxMemory(lifecycle: Lifecycle, reference: string, limit_mib: number): Promise<void> {
	if (isDomain0(reference)) throw dom0Memory(limit_mib)
	const entry = lifecycle.find(reference)
	await lifecycle.onDomain(entry, reference, async ({ xen, store }) => {
		const { memory_mib, name } = entry.config
		if (limit_mib < memory_mib) {
			throw new UserError(`memory_static_max too small: domain '${name}' is to use ${memory_mib} MiB, more than ${limit_mib} (xm mem-set)`)
		}
		const values = { ...entry.record.values, memory: memory_mib, maxmem: limit_mib }
		checkConfig(values)
		const { phase } = entry.record
		if (phase.is === 'live') await xen.setMaxMemory(phase.domid, limit_mib * 1024)
		await lifecycle.table.save(entry, { values })
		lifecycle.work.say('info', `Setting memory maximum of domain ${name} to ${limit_mib} MiB.`, entry)
		if (phase.is === 'live') await store.write(`/local/domain/${phase.domid}/memory/static-max`, limit_mib * 1024)
	})
}

/** Presses Alt-SysRq and this key in the guest, through control/sysrq. */
export async function sendSysrq(lifecycle: Lifecycle, reference: string, letter: string): Promise<void> {
	const entry = findGuest(lifecycle, reference, 'send a sysrq to')
	await lifecycle.onDomain(entry, reference, async ({ store }) => {
		await store.write(`/local/domain/${liveDomid(entry)}/control/sysrq`, letter)
	})
}

export async function sendTrigger(lifecycle: Lifecycle, reference: string, trigger: Trigger, vcpu: number): Promise<void> {
	const entry = findGuest(lifecycle, reference, 'send a trigger to')
	await lifecycle.onDomain(entry, reference, ({ xen }) => xen.sendTrigger(liveDomid(entry), trigger, vcpu))
}

export interface CoreRequest {
	/** Absolute. */
	readonly path: string
	/** The guest runs on meanwhile. */
	readonly live: boolean
	/** What becomes of the domain. */
	readonly afterwards?: 'destroy' | 'reset' | undefined
}

/** Writes a core of the domain. */
export async function dumpCore(
	lifecycle: Lifecycle,
	reference: string,
	choose: (domain: { readonly name: string; readonly domid: number }) => Promise<CoreRequest>,
): Promise<{ readonly path: string; readonly size_bytes: number }> {
	const entry = findGuest(lifecycle, reference, 'dump core for')
	let written = { path: '', size_bytes: 0 }
	let afterwards: CoreRequest['afterwards']
	await lifecycle.onDomain(entry, reference, async ({ xen }) => {
		const { phase } = entry.record
		if (phase.is !== 'live' && phase.is !== 'preserved') throw notStarted(entry)
		const { name } = entry.config
		const request = await choose({ name, domid: phase.domid })
		afterwards = request.afterwards
		lifecycle.work.say('info', `Dumping core of domain ${name} (${phase.domid}) to ${request.path}.`, entry)
		written = { path: request.path, size_bytes: await xen.dumpCore(phase.domid, request.path, request.live) }
	})
	if (afterwards === 'destroy') await lifecycle.destroy(reference)
	if (afterwards === 'reset') await lifecycle.reset(reference)
	return written
}

function dom0Memory(mib: number): UserError {
	if (mib < DOM0_MIN_MEMORY_MIB) return new UserError('memory_dynamic_max too small')
	return new UserError("Domain 0 is this host: its memory is what no domain holds, and can't be set")
}

function findGuest(lifecycle: Lifecycle, reference: string, verb: string): Entry {
	if (isDomain0(reference)) throw new UserError(`Cannot ${verb} privileged domain ${reference}`)
	return lifecycle.find(reference)
}

function liveDomid(entry: Entry): number {
	const { phase } = entry.record
	if (phase.is !== 'live') throw notStarted(entry)
	return phase.domid
}

function notStarted({ config }: Entry): UserError {
	return new UserError(`Domain '${config.name}' is not started`, { code: 'not-running' })
}
