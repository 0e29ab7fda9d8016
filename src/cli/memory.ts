/** mem-set and mem-max. */
import { UserError } from '../base/errors.ts'
import type { XendClient } from '../sdk/client.ts'
import type { Command } from './command.ts'

const UNITS_MIB: Readonly<Record<string, number>> = { g: 1024, m: 1, k: 1 / 1024 }

export const MEM_SET = memory('mem-set', "Set a domain's memory; its balloon driver follows.", (client, domain, mib) =>
	client.setMemory(domain, mib),
)
export const MEM_MAX = memory('mem-max', 'Set the most memory a domain may have.', (client, domain, mib) =>
	client.setMaxMemory(domain, mib),
)

function memory(name: string, help: string, act: (client: XendClient, domain: string, mib: number) => Promise<void>): Command {
	return {
		name,
		args: '<Domain> <Mem>',
		help,
		options: [],
		operands: [2, 2],
		usageOnFault: true,
		async run(context, args) {
			const [domain, text] = args.positional as [string, string]
			const mib = parseMemory(text)
			await act(await context.connect(), domain, mib)
			return 0
		},
	}
}

/** Whole MiB, of a number of MiB or one with G, M or K after it. */
export function parseMemory(text: string): number {
	const [, digits, unit] = /^(\d{1,15})([gmk]?)$/i.exec(text) ?? []
	if (digits === undefined)
		throw new UserError(`Invalid argument: '${text}' is no amount of memory: it must be a number of MiB, or one with G, M or K`, {
			code: 'internal',
		})
	const mib = Math.floor(Number(digits) * (UNITS_MIB[(unit || 'm').toLowerCase()] as number))
	if (mib < 1) throw new UserError(`Invalid memory size: ${text} is less than 1 MiB`)
	return mib
}
