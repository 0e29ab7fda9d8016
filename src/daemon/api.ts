import * as v from 'valibot'
import { EVENT_SCHEMAS } from './event_schemas.ts'

/**
 * What the daemon's API carries: HTTP and JSON over the Unix socket of the run directory. routes.ts has the calls. Requests are checked
 * against these schemas, the OpenAPI document is made from them, and the types follow from them; that they fit the toolstack's is checked
 * where routes.ts joins them. It must import nothing of other layers: the SDK's package has these types.
 */
export const API_VERSION = 1

export const MAX_DEBUG_KEYS = 64

const described = <S extends v.GenericSchema>(schema: S, text: string) => v.pipe(schema, v.description(text))
const natural = v.pipe(v.number(), v.integer(), v.minValue(0))
const amount = v.pipe(v.number(), v.minValue(0))
const domid = described(natural, 'The number of a domain in the hypervisor.')
const domidOrNull = described(v.nullable(natural), 'Null for a managed domain that is halted or suspended.')

export type ConfigJson = string | number | boolean | null | ConfigJson[]
export const CONFIG_VALUE: v.GenericSchema<ConfigJson> = v.lazy(() =>
	v.union(
		[v.string(), v.number(), v.boolean(), v.null(), v.array(CONFIG_VALUE)],
		'must be a string, a number, a boolean, null or a list of these',
	),
)

export type SxpJson = string | number | readonly SxpJson[]
/** An S-expression as xend wrote them. */
export const SXP: v.GenericSchema<SxpJson> = v.lazy(() => v.union([v.string(), v.number(), v.array(SXP)]))

const NAMED_LINES = v.array(v.tuple([v.string(), v.string()]))

export const NOTHING = v.object({})

export const LOG_TEXT = v.object({ log: v.string() })

export const DAEMON_INFO = v.object({
	api: described(natural, 'The version of this API.'),
	pid: natural,
	version: v.string(),
	domains: described(natural, 'Those that the hypervisor has.'),
	hypervisorPid: natural,
})
export type DaemonInfo = v.InferOutput<typeof DAEMON_INFO>

export const STOP_REQUEST = v.strictObject({
	ifIdle: v.exactOptional(
		described(v.boolean(), 'Stop only when no domain is left; otherwise nothing happens and the call fails with 409.'),
	),
	domains: v.exactOptional(
		described(
			v.picklist(['stop', 'destroy']),
			"Domains run on, unless their on_xend_stop says otherwise ('stop', the default), or are destroyed.",
		),
	),
})
export type StopRequest = Readonly<v.InferOutput<typeof STOP_REQUEST>>

export const HOST_INFO = described(NAMED_LINES, 'The lines of `xm info`, or of `xm info -c`, in order: name and value.')
export type HostInfo = readonly (readonly [name: string, value: string])[]

export const HOST_TOPOLOGY = v.object({
	cpus: v.array(v.object({ cpu: natural, core: natural, socket: natural, node: natural })),
	nodes: described(
		v.array(v.object({ memory_mib: amount, freeMemory_mib: amount, distances: v.array(natural) })),
		'Of memory, by their numbers: how far each is from it, with 10 for itself.',
	),
})
export type HostTopology = v.InferOutput<typeof HOST_TOPOLOGY>

export const DOMAIN_INFO = v.object({
	name: v.string(),
	domid: domidOrNull,
	uuid: v.string(),
	memory_mib: amount,
	maxmem_mib: amount,
	vcpus: natural,
	state: described(
		v.string(),
		"Six characters: r b p s c d, or '-'; of managed domains, empty for one that is halted, and `---s--` for one that is suspended.",
	),
	cpuTime_s: amount,
	startTime_s: described(amount, 'Seconds since 1970; 0 before the first start.'),
	restartCount: described(natural, 'How many times an exit action has restarted it.'),
})
export type DomainInfo = v.InferOutput<typeof DOMAIN_INFO>

export const DOMAIN_DETAIL = v.object({
	...DOMAIN_INFO.entries,
	sxp: described(SXP, 'What `xm list --long` prints, as nested lists.'),
})
export type DomainDetail = v.InferOutput<typeof DOMAIN_DETAIL>

export const LIVE_DOMAIN_INFO = v.object({ ...DOMAIN_INFO.entries, domid })

export const DOMAIN_VCPUS = v.object({
	name: v.string(),
	domid: domidOrNull,
	vcpus: v.array(v.object({ online: v.boolean(), running: v.boolean(), blocked: v.boolean(), cpuTime_s: amount })),
})
/** The lines of `xm vcpu-list` of one domain. */
export type DomainVcpus = v.InferOutput<typeof DOMAIN_VCPUS>

export const START_REQUEST = v.strictObject({
	paused: v.exactOptional(described(v.boolean(), 'Leave it paused; false is the default.')),
})
export type StartRequest = Readonly<v.InferOutput<typeof START_REQUEST>>

const CONFIG_VALUES = v.record(v.string(), CONFIG_VALUE)

export const DEFINE_REQUEST = v.strictObject({
	values: described(CONFIG_VALUES, "A domain configuration file's variables: man xmdomain.cfg."),
})
export type DefineRequest = Readonly<v.InferOutput<typeof DEFINE_REQUEST>>

const WARNINGS = described(v.array(v.string()), 'Sentences about variables that have no effect here.')

export const DEFINE_REPLY = v.object({ domain: DOMAIN_INFO, warnings: WARNINGS })
export type DefineReply = v.InferOutput<typeof DEFINE_REPLY>

export const CREATE_REQUEST = v.strictObject({ ...DEFINE_REQUEST.entries, ...START_REQUEST.entries })
export type CreateRequest = Readonly<v.InferOutput<typeof CREATE_REQUEST>>

export const CREATE_REPLY = v.object({ domain: LIVE_DOMAIN_INFO, warnings: WARNINGS })
export type CreateReply = v.InferOutput<typeof CREATE_REPLY>

const absolutePath = v.pipe(v.string(), v.regex(/^\/[^\0]*$/, 'must be absolute'))

export const SAVE_REQUEST = v.strictObject({
	path: described(absolutePath, 'Of the file; one that is there is replaced when the new one is whole.'),
	afterwards: v.exactOptional(described(v.picklist(['destroy', 'run', 'pause']), "What becomes of the domain; 'destroy' is the default.")),
	keepDomid: v.exactOptional(described(v.boolean(), 'It has its number again when it is restored.')),
	values: v.exactOptional(described(CONFIG_VALUES, "Configuration variables for the file, instead of the domain's own.")),
})
export type SaveRequest = Readonly<v.InferOutput<typeof SAVE_REQUEST>>

export const SAVE_REPLY = v.object({ size_bytes: natural })
export type SaveReply = v.InferOutput<typeof SAVE_REPLY>

export const RESTORE_REQUEST = v.strictObject({
	path: described(absolutePath, 'Of the file that a domain was saved to.'),
	values: v.exactOptional(described(CONFIG_VALUES, 'Configuration variables, instead of those in the file.')),
	...START_REQUEST.entries,
})
export type RestoreRequest = Readonly<v.InferOutput<typeof RESTORE_REQUEST>>

export const DEBUG_KEYS_REQUEST = v.strictObject({
	keys: described(v.pipe(v.string(), v.maxLength(MAX_DEBUG_KEYS)), 'Each a key of `xm debug-keys h`; others mean nothing.'),
})
export type DebugKeysRequest = v.InferOutput<typeof DEBUG_KEYS_REQUEST>

const mib = v.pipe(v.number(), v.safeInteger(), v.minValue(1))

export const MEMORY_REQUEST = v.strictObject({ mib: described(mib, 'In MiB.') })
export type MemoryRequest = v.InferOutput<typeof MEMORY_REQUEST>

export const SYSRQ_REQUEST = v.strictObject({
	letter: described(v.pipe(v.string(), v.regex(/^[\x21-\x7e]$/, 'must be one character')), 'The key that goes with Alt-SysRq.'),
})
export type SysrqRequest = v.InferOutput<typeof SYSRQ_REQUEST>

export const TRIGGER_REQUEST = v.strictObject({
	trigger: v.picklist(['nmi', 'reset', 'init', 'power', 's3resume']),
	vcpu: v.exactOptional(described(natural, 'The first without it.')),
})
export type TriggerRequest = Readonly<v.InferOutput<typeof TRIGGER_REQUEST>>

export const DUMP_CORE_REQUEST = v.strictObject({
	path: v.exactOptional(described(absolutePath, 'By default a new file in the directory for cores.')),
	live: v.exactOptional(described(v.boolean(), 'The guest runs on meanwhile.')),
	afterwards: v.exactOptional(described(v.picklist(['destroy', 'reset']), 'What becomes of the domain.')),
})
export type DumpCoreRequest = Readonly<v.InferOutput<typeof DUMP_CORE_REQUEST>>

export const DUMP_CORE_REPLY = v.object({ path: v.string(), size_bytes: natural })
export type DumpCoreReply = v.InferOutput<typeof DUMP_CORE_REPLY>

export const STATISTICS = v.object({
	version: described(v.string(), "The hypervisor's."),
	time_s: described(amount, 'When they were taken, on a clock that only counts up.'),
	host: v.object({
		memory_kib: amount,
		freeMemory_kib: amount,
		cpus: natural,
		cpu_mhz: natural,
		pcpus: described(v.array(v.object({ busy_s: amount, idle_s: amount })), "What the host's processors have done since it was started."),
	}),
	domains: v.array(
		v.object({
			name: v.string(),
			domid,
			state: v.string(),
			cpuTime_s: amount,
			memory_kib: amount,
			maxMemory_kib: described(v.nullable(amount), 'Null where there is no limit.'),
			vcpus: v.array(v.object({ online: v.boolean(), cpuTime_s: amount })),
		}),
	),
})
/** What `xm top` shows: domains that are there, domain 0 first. */
export type Statistics = v.InferOutput<typeof STATISTICS>

export const RENAME_REQUEST = v.strictObject({ name: v.string() })
export type RenameRequest = v.InferOutput<typeof RENAME_REQUEST>

export const SHUTDOWN_REQUEST = v.strictObject({
	request: described(v.picklist(['poweroff', 'halt', 'reboot']), 'What the guest is asked for, through control/shutdown.'),
})
export type ShutdownBody = v.InferOutput<typeof SHUTDOWN_REQUEST>

export const API_FAILURE = v.object({
	error: v.object({
		code: described(v.string(), 'Stable, for programs.'),
		message: described(v.string(), 'One sentence, for people.'),
		exitCode: described(natural, 'What xm exits with.'),
	}),
})
export type ApiFailure = v.InferOutput<typeof API_FAILURE>

export const API_EVENT = v.variant('type', EVENT_SCHEMAS)
/** A line of the event stream. */
export type ApiEvent = v.InferOutput<typeof API_EVENT>

/** The OpenAPI document's components, by name. */
export const NAMED_SCHEMAS = {
	ApiFailure: API_FAILURE,
	ConfigValue: CONFIG_VALUE,
	CreateReply: CREATE_REPLY,
	CreateRequest: CREATE_REQUEST,
	DaemonInfo: DAEMON_INFO,
	DebugKeysRequest: DEBUG_KEYS_REQUEST,
	DefineReply: DEFINE_REPLY,
	DefineRequest: DEFINE_REQUEST,
	DomainDetail: DOMAIN_DETAIL,
	DomainInfo: DOMAIN_INFO,
	DomainVcpus: DOMAIN_VCPUS,
	DumpCoreReply: DUMP_CORE_REPLY,
	DumpCoreRequest: DUMP_CORE_REQUEST,
	Event: API_EVENT,
	HostInfo: HOST_INFO,
	HostTopology: HOST_TOPOLOGY,
	LiveDomainInfo: LIVE_DOMAIN_INFO,
	LogText: LOG_TEXT,
	MemoryRequest: MEMORY_REQUEST,
	Nothing: NOTHING,
	RenameRequest: RENAME_REQUEST,
	RestoreRequest: RESTORE_REQUEST,
	SaveReply: SAVE_REPLY,
	SaveRequest: SAVE_REQUEST,
	ShutdownRequest: SHUTDOWN_REQUEST,
	StartRequest: START_REQUEST,
	Statistics: STATISTICS,
	StopRequest: STOP_REQUEST,
	Sxp: SXP,
	SysrqRequest: SYSRQ_REQUEST,
	TriggerRequest: TRIGGER_REQUEST,
}
