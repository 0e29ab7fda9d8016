/** What a port is bound to, for EVTCHNOP_status and debug key 'e'. */
import { XEN_EINVAL } from '../abi/errno.ts'
import {
	EVTCHNSTAT_closed,
	EVTCHNSTAT_interdomain,
	EVTCHNSTAT_ipi,
	EVTCHNSTAT_pirq,
	EVTCHNSTAT_unbound,
	EVTCHNSTAT_virq,
	evtchn_status,
} from '../abi/event_channel.ts'
import type { Domain } from './domain.ts'
import { portOps } from './event_delivery.ts'
import {
	ECS_FREE,
	ECS_INTERDOMAIN,
	ECS_IPI,
	ECS_PIRQ,
	ECS_RESERVED,
	ECS_UNBOUND,
	ECS_VIRQ,
	isValidPort,
	PORT_REMOTE_DOMID,
	PORT_REMOTE_PORT,
	PORT_STATE,
	PORT_VCPU,
	PORT_VIRQ,
	portField,
	validPorts,
	withEvents,
} from './event_ports.ts'
import { VS_POLLING, vcpuWord } from './vcpu_shared.ts'

const STATUS: Readonly<Record<number, number>> = {
	[ECS_FREE]: EVTCHNSTAT_closed,
	[ECS_RESERVED]: EVTCHNSTAT_closed,
	[ECS_UNBOUND]: EVTCHNSTAT_unbound,
	[ECS_INTERDOMAIN]: EVTCHNSTAT_interdomain,
	[ECS_PIRQ]: EVTCHNSTAT_pirq,
	[ECS_VIRQ]: EVTCHNSTAT_virq,
	[ECS_IPI]: EVTCHNSTAT_ipi,
}

/** Fills in struct evtchn_status for a port. -EINVAL when there is no such port. */
export function portStatus(domain: Domain, port: number, out: DataView): number {
	return withEvents(domain, () => {
		if (!isValidPort(domain, port)) return -XEN_EINVAL
		const { status, vcpu, u } = evtchn_status.at
		const state = portField(domain, port, PORT_STATE)
		out.setUint32(status, STATUS[state] as number, true)
		out.setUint32(vcpu, portField(domain, port, PORT_VCPU), true)
		if (state === ECS_UNBOUND || state === ECS_INTERDOMAIN) out.setUint16(u, portField(domain, port, PORT_REMOTE_DOMID), true)
		if (state === ECS_INTERDOMAIN) out.setUint32(u + 4, portField(domain, port, PORT_REMOTE_PORT), true)
		if (state === ECS_VIRQ) out.setUint32(u, portField(domain, port, PORT_VIRQ), true)
		return 0
	})
}

/** Xen's lines for one domain, without the log's prefix: port [pending/masked/abi state]: state, vCPU, remote end or VIRQ. */
export function describeEventChannels(domain: Domain): string[] {
	return withEvents(domain, () => {
		const polling = pollingVcpus(domain).join(',')
		const lines = [`Event channel information for domain ${domain.domid}:`, `Polling vCPUs: {${polling}}`, '    port [p/m/s]']
		for (let port = 1; port < validPorts(domain); port++) {
			if (portField(domain, port, PORT_STATE) !== ECS_FREE) lines.push(describePort(domain, port))
		}
		return lines
	})
}

function pollingVcpus(domain: Domain): number[] {
	const vcpus = Array.from({ length: domain.description.vcpus }, (_, vcpu) => vcpu)
	return vcpus.filter((vcpu) => Atomics.load(domain.machine.u32, vcpuWord(domain, vcpu, VS_POLLING)) !== 0)
}

function describePort(domain: Domain, port: number): string {
	const ops = portOps(domain)
	const state = portField(domain, port, PORT_STATE)
	const flags = `${Number(ops.isPending(domain, port))}/${Number(ops.isMasked(domain, port))}/${ops.describe(domain, port)}`
	const bound = [`s=${state}`, `n=${portField(domain, port, PORT_VCPU)}`, 'x=0']
	if (state === ECS_UNBOUND || state === ECS_INTERDOMAIN) bound.push(`d=${portField(domain, port, PORT_REMOTE_DOMID)}`)
	if (state === ECS_INTERDOMAIN) bound.push(`p=${portField(domain, port, PORT_REMOTE_PORT)}`)
	if (state === ECS_VIRQ) bound.push(`v=${portField(domain, port, PORT_VIRQ)}`)
	return `    ${String(port).padStart(4)} [${flags}]: ${bound.join(' ')}`
}
