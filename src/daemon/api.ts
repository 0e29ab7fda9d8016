import type { ConfigValues } from '../toolstack/config.ts'
import type { DomainInfo, LiveDomainInfo } from '../toolstack/domain_record.ts'
import type { ShutdownRequest } from '../toolstack/domain_steps.ts'
import type { Sxp } from '../toolstack/sxp.ts'
import type { VcpuState } from '../xenctrl/interface.ts'

/**
 * The daemon's API: HTTP and JSON over the Unix socket of the run directory.
 *
 *   GET  /v1/daemon                                        DaemonInfo
 *   POST /v1/daemon/stop         StopRequest               {}
 *   GET  /v1/daemon/log                                    {log}: what the newest of its log files has
 *   GET  /v1/daemon/settings                               HostInfo
 *   GET  /v1/host                                          HostInfo
 *   GET  /v1/vcpus                                         DomainVcpus[], domain 0 first
 *   GET  /v1/hypervisor/log[?clear=1]                      {log}
 *   POST /v1/hypervisor/debug-keys                        DebugKeysRequest   {}; what they wrote is in the log then
 *   GET  /v1/events                                        DomainEvent, one JSON a line; {"type":"listening"} first
 *   GET  /v1/domains[?long=1]                              DomainInfo[] or DomainDetail[]; domain 0 first
 *   POST /v1/domains             CreateRequest             CreateReply
 *   POST /v1/definitions         DefineRequest             DefineReply: a managed domain, halted
 *   GET  /v1/domains/REF                                   DomainDetail; REF is a name or a number
 *   POST /v1/domains/REF/pause, unpause, destroy, reset    {}
 *   POST /v1/domains/REF/delete, suspend, resume           {}; managed domains
 *   POST /v1/domains/REF/start   StartRequest              CreateReply; managed domains
 *   POST /v1/domains/REF/rename  RenameRequest             {}
 *   POST /v1/domains/REF/shutdown ShutdownBody             {}
 *   GET  /v1/domains/REF/console  Upgrade                  see console_frames.ts; by number also for a while after the domain's end
 *
 * A failure is ApiFailure with status 400 (the request), 404 (no such domain), 409 (name taken, busy) or 500 (ours).
 */
export const API_VERSION = 1

export interface DaemonInfo {
	readonly api: number
	readonly pid: number
	readonly version: string
	/** Those that the hypervisor has. */
	readonly domains: number
	readonly hypervisorPid: number
}

export interface StopRequest {
	/** Stop only when no domain is left; otherwise nothing happens and the call fails with 409. */
	readonly ifIdle?: boolean
	/** Domains run on, unless their on_xend_stop says otherwise ('stop', the default), or are destroyed. */
	readonly domains?: 'stop' | 'destroy'
}

/** The lines of `xm info`, in order. */
export type HostInfo = readonly (readonly [name: string, value: string])[]

export interface DomainDetail extends DomainInfo {
	readonly sxp: Sxp
}

/** The lines of `xm vcpu-list` of one domain. */
export interface DomainVcpus {
	readonly name: string
	/** Null for a managed domain that is halted: its vCPUs are those it is configured to have. */
	readonly domid: number | null
	readonly vcpus: readonly VcpuState[]
}

export interface StartRequest {
	readonly paused?: boolean
}

export interface DefineRequest {
	readonly values: ConfigValues
}

export interface DefineReply {
	readonly domain: DomainInfo
	readonly warnings: string[]
}

export interface CreateRequest extends DefineRequest, StartRequest {}

export interface CreateReply {
	readonly domain: LiveDomainInfo
	readonly warnings: string[]
}

export interface DebugKeysRequest {
	/** At most MAX_DEBUG_KEYS of them, each a key of xen/debug_keys.ts; others mean nothing. */
	readonly keys: string
}

export const MAX_DEBUG_KEYS = 64

export interface RenameRequest {
	readonly name: string
}

export interface ShutdownBody {
	readonly request: ShutdownRequest
}

export interface ApiFailure {
	readonly error: { readonly code: string; readonly message: string; readonly exitCode: number }
}
