/**
 * What each request means: takes its payload apart, runs it, and makes the reply's payload. Handlers are in one table by message type;
 * privileged ones answer EACCES to everyone but dom0.
 */
import {
	XENSTORE_PAYLOAD_MAX,
	XENSTORE_SERVER_FEATURE_WATCHDEPTH,
	XS_CONTROL,
	XS_DIRECTORY,
	XS_DIRECTORY_PART,
	XS_GET_DOMAIN_PATH,
	XS_GET_FEATURE,
	XS_GET_PERMS,
	XS_GET_QUOTA,
	XS_INTRODUCE,
	XS_IS_DOMAIN_INTRODUCED,
	XS_MKDIR,
	XS_READ,
	XS_RELEASE,
	XS_RESET_WATCHES,
	XS_RESUME,
	XS_RM,
	XS_SET_FEATURE,
	XS_SET_PERMS,
	XS_SET_QUOTA,
	XS_SET_TARGET,
	XS_TRANSACTION_END,
	XS_TRANSACTION_START,
	XS_UNWATCH,
	XS_WATCH,
	XS_WRITE,
} from '../abi/io/xs_wire.ts'
import { concatenate } from '../base/bytes.ts'
import { cString, cStrings, splitCStrings } from './bytes.ts'
import { control } from './control.ts'
import type { Domains } from './domains.ts'
import { type Errno, failed } from './errors.ts'
import { domainPath } from './path.ts'
import { DOMID_FIRST_RESERVED, formatPermissions, isPrivileged, type Permissions, parsePermissions } from './permissions.ts'
import { DEFAULT_LIMITS, isQuotaName } from './quota.ts'
import type { Session } from './session.ts'
import { isErrno, type Store } from './store.ts'
import type { NodeOperation, OperationResult } from './transaction.ts'

/** A reply's payload, and what is to be done once it is queued. */
export interface Reply {
	readonly payload: Uint8Array
	readonly afterwards?: () => void
}

export interface Request {
	readonly store: Store
	readonly domains: Domains
	readonly session: Session
	readonly txId: number
	readonly payload: Uint8Array
}

const DOMID_SELF = 0x7ff0
const OK: Reply = { payload: cString('OK') }

export type Answer = Reply | Errno

/** A promise where the client has to wait; it must be dom0's then. ENOSYS for a type that no client may send or that does not exist. */
export function handleRequest(type: number, request: Request): Answer | Promise<Answer> {
	const entry = HANDLERS.get(type)
	if (entry === undefined) return 'ENOSYS'
	if (entry.privileged && !isPrivileged(request.session.subject)) return 'EACCES'
	const answer = entry.handle(request)
	return answer instanceof Promise ? answer.then(fitting) : fitting(answer)
}

function fitting(answer: Answer): Answer {
	return !failed(answer) && answer.payload.length > XENSTORE_PAYLOAD_MAX ? 'E2BIG' : answer
}

type Handler = (request: Request) => Answer | Promise<Answer>

const HANDLERS: ReadonlyMap<number, { readonly handle: Handler; readonly privileged: boolean }> = new Map([
	[XS_READ, forAll(read)],
	[XS_WRITE, forAll(write)],
	[XS_MKDIR, forAll((request) => change(request, 'mkdir'))],
	[XS_RM, forAll((request) => change(request, 'rm'))],
	[XS_DIRECTORY, forAll(directory)],
	[XS_DIRECTORY_PART, forAll(directoryPart)],
	[XS_GET_PERMS, forAll(getPerms)],
	[XS_SET_PERMS, forAll(setPerms)],
	[XS_WATCH, forAll(watch)],
	[XS_UNWATCH, forAll(unwatch)],
	[XS_RESET_WATCHES, forAll(resetWatches)],
	[XS_TRANSACTION_START, forAll(transactionStart)],
	[XS_TRANSACTION_END, forAll(transactionEnd)],
	[XS_GET_DOMAIN_PATH, forAll(getDomainPath)],
	[XS_GET_FEATURE, forAll(getFeature)],
	[XS_SET_FEATURE, forDom0(setFeature)],
	[XS_INTRODUCE, forDom0(introduce)],
	[XS_RELEASE, forDom0((request) => onDomain(request, (domid) => request.domains.release(domid)))],
	[XS_RESUME, forDom0((request) => onDomain(request, (domid) => request.domains.resume(domid)))],
	[XS_IS_DOMAIN_INTRODUCED, forDom0(isDomainIntroduced)],
	[XS_SET_TARGET, forDom0(setTarget)],
	[XS_GET_QUOTA, forDom0(getQuota)],
	[XS_SET_QUOTA, forDom0(setQuota)],
	[XS_CONTROL, forDom0(controlCommand)],
])

function forAll(handle: Handler) {
	return { handle, privileged: false }
}

function forDom0(handle: Handler) {
	return { handle, privileged: true }
}

function read(request: Request): Reply | Errno {
	const value = onPath(request, 'read')
	return failed(value) ? value : { payload: value as Uint8Array }
}

function directory(request: Request): Reply | Errno {
	const names = onPath(request, 'directory')
	return failed(names) ? names : { payload: cStrings(names as readonly string[]) }
}

function getPerms(request: Request): Reply | Errno {
	const permissions = onPath(request, 'getPermissions', true)
	return failed(permissions) ? permissions : { payload: cStrings(formatPermissions(permissions as Permissions)) }
}

function change(request: Request, kind: 'mkdir' | 'rm'): Reply | Errno {
	return acknowledge(onPath(request, kind))
}

/** path, nul, value: the rest as it is. */
function write(request: Request): Reply | Errno {
	const { store, session, txId, payload } = request
	const nul = payload.indexOf(0)
	if (nul < 0) return 'EINVAL'
	const path = store.resolve(session, splitCStrings(payload.subarray(0, nul + 1))[0])
	if (isErrno(path)) return path
	return acknowledge(store.execute(session, txId, { kind: 'write', path, value: payload.slice(nul + 1) }))
}

/** A list too long for one message, in parts: `<generation>` and the names from an offset on; an empty name ends the list. */
function directoryPart({ store, session, txId, payload }: Request): Reply | Errno {
	const [text, offsetText, ...more] = splitCStrings(payload)
	if (offsetText === undefined || more.length > 0) return 'EINVAL'
	const path = store.resolve(session, text)
	if (isErrno(path)) return path
	const names = store.execute(session, txId, { kind: 'directory', path })
	if (failed(names)) return names
	const generation = cString(String(store.execute(session, txId, { kind: 'generation', path })))
	const list = cStrings(names as readonly string[])
	const offset = decimal(offsetText) ?? 0
	const room = XENSTORE_PAYLOAD_MAX - generation.length - 1
	if (offset + room >= list.length) return { payload: concatenate([generation, list.subarray(offset), new Uint8Array(1)]) }
	const end = list.lastIndexOf(0, offset + room - 1) + 1
	return { payload: concatenate([generation, list.subarray(offset, end)]) }
}

function setPerms({ store, session, txId, payload }: Request): Reply | Errno {
	const [text, ...entries] = splitCStrings(payload)
	if (entries.length === 0) return 'EINVAL'
	const permissions = parsePermissions(entries)
	if (permissions === undefined) return 'EINVAL'
	const path = store.resolve(session, text, true)
	if (isErrno(path)) return path
	return acknowledge(store.execute(session, txId, { kind: 'setPermissions', path, permissions }))
}

function watch({ store, domains, session, payload }: Request): Reply | Errno {
	const [path, token, depthText, ...more] = splitCStrings(payload)
	if (token === undefined || more.length > 0) return 'EINVAL'
	const mayLimit = (domains.features(session.domid) & XENSTORE_SERVER_FEATURE_WATCHDEPTH) !== 0
	const depth = depthText === undefined ? undefined : decimal(depthText)
	if (depthText !== undefined && (depth === undefined || !mayLimit)) return 'EINVAL'
	const watch = store.watch(session, path, token, depth)
	return failed(watch) ? watch : { ...OK, afterwards: watch.fireOnce }
}

function unwatch({ store, session, payload }: Request): Reply | Errno {
	const [path, token, ...more] = splitCStrings(payload)
	if (token === undefined || more.length > 0) return 'EINVAL'
	return acknowledge(store.unwatch(session, path, token))
}

function resetWatches({ store, session }: Request): Reply {
	store.resetSession(session)
	return OK
}

function transactionStart({ store, session, txId }: Request): Reply | Errno {
	const id = store.startTransaction(session, txId)
	return failed(id) ? id : { payload: cString(String(id)) }
}

function transactionEnd({ store, session, txId, payload }: Request): Reply | Errno {
	const choice = onlyString(payload)
	if (choice !== 'T' && choice !== 'F') return 'EINVAL'
	return acknowledge(store.endTransaction(session, txId, choice === 'T'))
}

function introduce({ domains, payload }: Request): Reply | Errno {
	const [domidText, mfnText, portText] = splitCStrings(payload)
	const domid = parseDomid(domidText)
	const port = decimal(portText)
	const mfn = /^-?\d{1,15}$/.test(mfnText ?? '') ? Number(mfnText) : undefined
	if (domid === undefined || domid >= DOMID_FIRST_RESERVED || mfn === undefined || !port) return 'EINVAL'
	return acknowledge(domains.introduce(domid, mfn, port))
}

function isDomainIntroduced({ domains, payload }: Request): Reply | Errno {
	const domid = parseDomid(onlyString(payload))
	if (domid === undefined) return 'EINVAL'
	return { payload: cString(domid === DOMID_SELF || domains.isIntroduced(domid) ? 'T' : 'F') }
}

function getDomainPath({ payload }: Request): Reply | Errno {
	const domid = parseDomid(onlyString(payload))
	return domid === undefined ? 'EINVAL' : { payload: cString(domainPath(domid)) }
}

function setTarget({ domains, payload }: Request): Reply | Errno {
	const [domid, target] = splitCStrings(payload).map(parseDomid)
	return domid === undefined || target === undefined ? 'EINVAL' : acknowledge(domains.setTarget(domid, target))
}

function getFeature({ domains, session, payload }: Request): Reply | Errno {
	const [domidText, ...more] = splitCStrings(payload)
	if (domidText === undefined) return { payload: cString(String(domains.features(session.domid))) }
	if (!isPrivileged(session.subject)) return 'EACCES'
	const domid = parseDomid(domidText)
	return domid === undefined || more.length > 0 ? 'EINVAL' : { payload: cString(String(domains.features(domid))) }
}

function setFeature({ domains, payload }: Request): Reply | Errno {
	const [domidText, value, ...more] = splitCStrings(payload)
	const domid = parseDomid(domidText)
	const features = decimal(value)
	if (domid === undefined || features === undefined || more.length > 0) return 'EINVAL'
	return acknowledge(domains.setFeatures(domid, features))
}

/** Nothing: the names of all quotas; a name: the common limit; a domain and a name: that domain's. */
function getQuota({ store, payload }: Request): Reply | Errno {
	const strings = splitCStrings(payload)
	if (strings.length === 0) return { payload: cString(Object.keys(DEFAULT_LIMITS).join(' ')) }
	const name = strings.at(-1)!
	const domid = strings.length === 1 ? undefined : parseDomid(strings[0])
	if (strings.length > 2 || !isQuotaName(name) || (strings.length === 2 && domid === undefined)) return 'EINVAL'
	return { payload: cString(String(store.limits(domid)[name])) }
}

function setQuota({ store, payload }: Request): Reply | Errno {
	const strings = splitCStrings(payload)
	const [name, text] = strings.slice(-2)
	const domid = strings.length === 2 ? undefined : parseDomid(strings[0])
	const value = decimal(text)
	if (strings.length < 2 || strings.length > 3 || value === undefined || !isQuotaName(name)) return 'EINVAL'
	if (strings.length === 3 && domid === undefined) return 'EINVAL'
	store.setLimit(name, value, domid)
	return OK
}

function controlCommand({ store, payload }: Request): Answer | Promise<Answer> {
	const answer = control(store, splitCStrings(payload))
	if (answer instanceof Promise) return answer.then(({ text }) => ({ payload: cString(text) }))
	return failed(answer) ? answer : { payload: cString(answer.text) }
}

function onPath(request: Request, kind: Exclude<NodeOperation['kind'], 'write' | 'setPermissions'>, special = false): OperationResult {
	const { store, session, txId, payload } = request
	const text = onlyString(payload)
	if (text === undefined) return 'EINVAL'
	const path = store.resolve(session, text, special)
	return isErrno(path) ? path : store.execute(session, txId, { kind, path })
}

function onDomain({ payload }: Request, act: (domid: number) => Errno | undefined): Reply | Errno {
	const domid = parseDomid(onlyString(payload))
	return domid === undefined || domid === 0 ? 'EINVAL' : acknowledge(act(domid))
}

function acknowledge(result: OperationResult): Reply | Errno {
	return failed(result) ? result : OK
}

/** The payload as exactly one nul-terminated string. */
function onlyString(payload: Uint8Array): string | undefined {
	return payload.length > 0 && payload.indexOf(0) === payload.length - 1 ? splitCStrings(payload)[0] : undefined
}

function decimal(text: string | undefined): number | undefined {
	return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

function parseDomid(text: string | undefined): number | undefined {
	const domid = decimal(text)
	return domid !== undefined && domid <= 0xffff ? domid : undefined
}
