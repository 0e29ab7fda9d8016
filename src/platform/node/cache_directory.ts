import { homedir } from 'node:os'
import { join } from 'node:path'

/** `$XDG_CACHE_HOME/xenotype`, by default `~/.cache/xenotype`: what can be fetched or made again. bin/xm says the same in its own words. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
	return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'xenotype')
}
