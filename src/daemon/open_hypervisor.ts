import { UserError } from '../base/errors.ts'
import type { HypervisorHost, HypervisorHostOptions } from './hypervisor_host.ts'

export async function openHypervisor(_options: HypervisorHostOptions): Promise<HypervisorHost> {
	throw new UserError('the hypervisor is not there yet')
}
