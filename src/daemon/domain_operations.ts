import { UserError } from '../base/errors.ts'
import type { Lifecycle } from '../toolstack/lifecycle.ts'
import { checkRename, checkShutdown, checkStart } from './requests.ts'

type Operation = (lifecycle: Lifecycle, reference: string, body: unknown) => Promise<unknown>

/** What a POST to /v1/domains/REF/NAME does. Those that give nothing answer {}. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
	pause: (lifecycle, reference) => lifecycle.pause(reference),
	unpause: (lifecycle, reference) => lifecycle.unpause(reference),
	destroy: (lifecycle, reference) => lifecycle.destroy(reference),
	reset: (lifecycle, reference) => lifecycle.reset(reference),
	shutdown: (lifecycle, reference, body) => lifecycle.shutdown(reference, checkShutdown(body).request),
	rename: (lifecycle, reference, body) => lifecycle.rename(reference, checkRename(body).name),
	delete: (lifecycle, reference) => lifecycle.undefine(reference),
	start: async (lifecycle, reference, body) => ({ domain: await lifecycle.startManaged(reference, checkStart(body)), warnings: [] }),
	suspend: (lifecycle, reference) => lifecycle.suspend(reference),
	resume: (lifecycle, reference) => lifecycle.resume(reference),
}

export async function operate(lifecycle: Lifecycle, reference: string, name: string, body: unknown): Promise<object> {
	const operation = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined
	if (operation === undefined) throw new UserError(`there is no operation '${name}' on a domain`, { code: 'no-such-call' })
	return ((await operation(lifecycle, reference, body)) ?? {}) as object
}
