import * as v from 'valibot'

const natural = v.pipe(v.number(), v.integer(), v.minValue(0))
const seq = v.pipe(natural, v.description('Its number. Numbers count up, also from one daemon to the next.'))
const numbered = { seq, name: v.string() }

const ENDED = v.object({
	type: v.literal('ended'),
	...numbered,
	domid: natural,
	reason: v.picklist(['poweroff', 'reboot', 'suspend', 'crash', 'watchdog', 'soft_reset', 'destroyed']),
	detail: v.optional(v.pipe(v.string(), v.description('For a crash: what the hypervisor or the guest said of it.'))),
	preserved: v.pipe(v.boolean(), v.description('It is still listed.')),
	restarting: v.pipe(v.boolean(), v.description("'restarted' follows, or 'restart-failed'.")),
	refusedRestart: v.exactOptional(v.pipe(v.boolean(), v.description('A restart was due, and too soon after the one before.'))),
})

/** What happens to domains: a line each of the event stream. */
export const DOMAIN_EVENT_SCHEMAS = [
	v.object({ type: v.literal('created'), ...numbered, domid: natural }),
	v.pipe(ENDED, v.description('The guest ended, or was destroyed while it ran.')),
	v.pipe(v.object({ type: v.literal('destroyed'), ...numbered, domid: natural }), v.description('A preserved domain was destroyed.')),
	v.object({ type: v.literal('restarted'), ...numbered, domid: natural, previous: natural }),
	v.object({ type: v.literal('restart-failed'), ...numbered, previous: natural, message: v.string() }),
	v.object({ type: v.literal('renamed'), ...numbered, domid: v.nullable(natural), from: v.string() }),
	v.pipe(v.object({ type: v.literal('defined'), ...numbered }), v.description("A managed domain's record was made.")),
	v.pipe(v.object({ type: v.literal('undefined'), ...numbered }), v.description("A managed domain's record is gone.")),
] as const

/** Every line of the event stream. */
export const EVENT_SCHEMAS = [
	v.pipe(v.object({ type: v.literal('listening'), seq }), v.description('The first line: events after this number follow.')),
	v.pipe(
		v.object({ type: v.literal('lost'), seq }),
		v.description(
			'Events up to this number were forgotten, or told by an earlier daemon, before this client had them: look at everything anew.',
		),
	),
	...DOMAIN_EVENT_SCHEMAS,
] as const
