export const LOG_LEVELS = ['debug', 'info', 'warning', 'error', 'critical'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** To the toolstack's log, and to the domain's own when it is about one. */
export type Log = (level: LogLevel, message: string, domain?: string) => void
