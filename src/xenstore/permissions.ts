/** Who may use a node. The first entry is the owner; its letter is what everyone without an entry of their own may do. */
export type Permissions = readonly [Permission, ...Permission[]]

export interface Permission {
	/** n none, r read, w write, b both. */
	readonly access: 'n' | 'r' | 'w' | 'b'
	readonly domid: number
}

/** On whose behalf an operation runs. */
export interface Subject {
	readonly domid: number
	/** The domain it stands in for (XS_SET_TARGET): it has that domain's rights beside its own. */
	readonly target?: number
}

export const READ = 1
export const WRITE = 2
export const OWNER = 4

/** Stands for every domain (XENSTORE_SERVER_FEATURE_DOMID_ANY; DOMID_ANY in xen.h). */
export const DOMID_ANY = 0x7ff5
/** Domain ids below this name real domains (DOMID_FIRST_RESERVED in xen.h). */
export const DOMID_FIRST_RESERVED = 0x7ff0

const ACCESS_BITS = { n: 0, r: READ, w: WRITE, b: READ | WRITE } as const

/** dom0 holds the control domain's rights: everything, with no quota. */
export function isPrivileged(subject: Subject): boolean {
	return subject.domid === 0
}

/** READ | WRITE | OWNER as far as `permissions` grant them. */
export function accessBits(permissions: Permissions, subject: Subject): number {
	if (isPrivileged(subject) || names(permissions[0], subject)) return READ | WRITE | OWNER
	for (let i = 1; i < permissions.length; i++) {
		if (names(permissions[i], subject)) return ACCESS_BITS[permissions[i].access]
	}
	return ACCESS_BITS[permissions[0].access]
}

export function ownerOf(permissions: Permissions): number {
	return permissions[0].domid
}

/** `<letter><domid>` each, owner first; undefined when one is malformed or none is given. */
export function parsePermissions(texts: readonly string[]): Permissions | undefined {
	const entries: Permission[] = []
	for (const text of texts) {
		const match = /^([nrwb])(\d{1,5})$/.exec(text)
		if (match === null) return undefined
		const domid = Number(match[2])
		if (domid >= DOMID_FIRST_RESERVED && domid !== DOMID_ANY) return undefined
		entries.push({ access: match[1] as Permission['access'], domid })
	}
	return entries.length === 0 ? undefined : (entries as [Permission, ...Permission[]])
}

export function formatPermissions(permissions: Permissions): string[] {
	return permissions.map((entry) => entry.access + entry.domid)
}

function names(entry: Permission, subject: Subject): boolean {
	return entry.domid === subject.domid || entry.domid === subject.target || entry.domid === DOMID_ANY
}
