/** The package's own interface: what `import ... from 'xenotype'` gives. docs/sdk.md shows it. */
export type { DomainDetail, DomainInfo, HostInfo } from '../daemon/api.ts'
export type { ConsoleEnd } from '../daemon/console_frames.ts'
export { type DomainEvent, XendClient } from './client.ts'
export { Domain, type DomainEnded, type ShutdownOptions } from './domain.ts'
export { type ConsoleMatch, DomainConsole } from './domain_console.ts'
export { type ErrorCode, hasCode, XenError } from './errors.ts'
export { remoteClient } from './remote.ts'
export { connect, type DomainVariables, type EventOptions, Xen, type XenOptions } from './xen.ts'
