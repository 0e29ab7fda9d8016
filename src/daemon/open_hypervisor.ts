import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { dirname } from 'node:path'
import { hostClock } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import { loadCore } from '../platform/node/load_core.ts'
import { nodeVcpuThreads } from '../platform/node/vcpu_thread.ts'
import { listenXenstore } from '../platform/node/xenstore_socket.ts'
import { XenDomainFactory } from '../toolstack/domain_factory.ts'
import { Hypervisor } from '../xen/hypervisor.ts'
import type { HypervisorHost, HypervisorHostOptions } from './hypervisor_host.ts'

async function readImage(path: string): Promise<Uint8Array | undefined> {
	try {
		return await readFile(path)
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException
		if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
		throw new UserError(`Cannot read file ${path}: ${code}`, { code: 'no-image', cause: error })
	}
}

/** The hypervisor and xenstored in this process. */
export async function openHypervisor({ rundir, log }: HypervisorHostOptions): Promise<HypervisorHost> {
	const core = await loadCore((line) => log('info', line))
	const hypervisor = new Hypervisor({
		clock: hostClock(performance.timeOrigin),
		threads: nodeVcpuThreads(core, performance.timeOrigin),
		onLog: (level, line) => {
			if (level === 'error' || level === 'warning') log(level, line.trimEnd())
		},
	})
	const factory = await XenDomainFactory.open({
		hypervisor,
		readFile: readImage,
		dom0Memory_kib: Math.floor(totalmem() / 1024),
		now_s: () => Date.now() / 1000,
	})
	mkdirSync(dirname(rundir.xenstore), { recursive: true, mode: 0o700 })
	const xenstore = await listenXenstore(factory.store, rundir.xenstore)
	return {
		factory,
		log(clear) {
			const text = hypervisor.log.read()
			if (clear) hypervisor.log.clear()
			return text
		},
		info: () => hypervisor.info(),
		async close() {
			await xenstore.close()
			await hypervisor.close()
		},
	}
}
