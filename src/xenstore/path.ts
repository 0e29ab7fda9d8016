import { XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from '../abi/io/xs_wire.ts'

/** A valid absolute path, or a special one that starts with '@'. */
export type Path = string & { readonly __path: true }

export const ROOT = '/' as Path
export const INTRODUCE_DOMAIN = '@introduceDomain' as Path
export const RELEASE_DOMAIN = '@releaseDomain' as Path

const VALID_CHARACTERS = /^[A-Za-z0-9\-/_@]+$/

/** Where a domain's relative paths start. */
export function domainPath(domid: number): Path {
	return `/local/domain/${domid}` as Path
}

/**
 * Checks what a client sent. A relative path belongs to /local/domain/<domid>. Returns undefined when it is empty, has a character
 * outside [A-Za-z0-9-/_@], has an empty element or a trailing slash, or is too long (absolute 3072, relative 2048 bytes).
 */
export function parsePath(text: string, domid: number, specialAllowed = false): Path | undefined {
	if (!VALID_CHARACTERS.test(text)) return undefined
	if (text[0] === '@') return specialAllowed && wellFormed(text) && text.length <= XENSTORE_REL_PATH_MAX ? (text as Path) : undefined
	if (text[0] === '/') return wellFormed(text) && text.length <= XENSTORE_ABS_PATH_MAX ? (text as Path) : undefined
	return wellFormed(text) && text.length <= XENSTORE_REL_PATH_MAX ? (`${domainPath(domid)}/${text}` as Path) : undefined
}

/** True when the client's text is resolved against its domain's path. */
export function isRelative(text: string): boolean {
	return text[0] !== '/' && text[0] !== '@'
}

export function isSpecial(path: Path): boolean {
	return path[0] === '@'
}

/** The elements of an absolute path; none for the root. */
export function elements(path: Path): string[] {
	return path === '/' ? [] : path.slice(1).split('/')
}

/** The parent of an absolute path other than the root. */
export function parentOf(path: Path): Path {
	const slash = path.lastIndexOf('/')
	return slash <= 0 ? ROOT : (path.slice(0, slash) as Path)
}

export function baseName(path: Path): string {
	return path.slice(path.lastIndexOf('/') + 1)
}

export function childOf(path: Path, name: string): Path {
	return (path === '/' ? `/${name}` : `${path}/${name}`) as Path
}

/** Levels from `ancestor` down to `path`, 0 when equal; undefined when `path` is not below it. */
export function depthBelow(path: Path, ancestor: Path): number | undefined {
	if (path === ancestor) return 0
	const prefix = ancestor === '/' ? '/' : `${ancestor}/`
	if (!path.startsWith(prefix)) return undefined
	let levels = 1
	for (let i = prefix.length; i < path.length; i++) if (path[i] === '/') levels++
	return levels
}

function wellFormed(text: string): boolean {
	return text === '/' || (!text.includes('//') && !text.endsWith('/'))
}
