import { toJsonSchema, toJsonSchemaDefs } from '@valibot/to-json-schema'
import * as v from 'valibot'
import { API_FAILURE, API_VERSION, NAMED_SCHEMAS } from './api.ts'
import { CONSOLE_PROTOCOL } from './console_frames.ts'
import { ROUTES, type Route } from './routes.ts'

type Json = Record<string, unknown>

const CONVERSION = {
	target: 'draft-2020-12',
	typeMode: 'input',
	overrideRef: ({ referenceId }: { referenceId: string }) => `#/components/schemas/${referenceId}`,
} as const

/** By status: the name of the component, and what it means. */
const FAILURES: Readonly<Record<string, readonly [name: string, description: string]>> = {
	400: ['Refused', 'The request is wrong, or what it asks for can not be done.'],
	404: ['NotFound', 'There is no such domain or call.'],
	409: ['Conflict', 'The name is taken, or something is in the way.'],
	500: ['Fault', 'A fault of ours.'],
}

/** The API as an OpenAPI 3.1 document. */
export function openApi(version: string): Json {
	const paths: Record<string, Json> = {}
	for (const route of ROUTES) paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) }
	return {
		openapi: '3.1.0',
		info: {
			title: 'xend',
			version,
			description:
				"The toolstack's API: HTTP over the Unix socket xend.sock in the run directory, whose permissions are the access control.",
		},
		servers: [{ url: `http://localhost/v${API_VERSION}` }],
		paths,
		components: { schemas: toJsonSchemaDefs(NAMED_SCHEMAS, CONVERSION), responses: failureResponses() },
	}
}

function operation(route: Route): Json {
	const parameters = [...pathParameters(route), ...queryParameters(route)]
	const body = route.kind === 'call' ? route.body : undefined
	return {
		operationId: route.name,
		summary: route.summary,
		...(parameters.length === 0 ? {} : { parameters }),
		...(body === undefined ? {} : { requestBody: { required: !v.is(body, {}), content: json(body) } }),
		responses: { ...success(route), ...failures(route) },
	}
}

function success(route: Route): Json {
	if (route.kind === 'console') return { 101: { description: `The console, in frames: ${CONSOLE_PROTOCOL}.` } }
	if (route.kind === 'call') return { 200: { description: 'Done.', content: json(route.reply) } }
	return { 200: { description: 'A line each.', content: { 'application/x-ndjson': { schema: schemaOf(NAMED_SCHEMAS.Event) } } } }
}

function failures({ kind }: Route): Json {
	const statuses = kind === 'events' ? ['400', '500'] : Object.keys(FAILURES)
	return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${FAILURES[status]![0]}` }]))
}

function failureResponses(): Json {
	return Object.fromEntries(Object.values(FAILURES).map(([name, description]) => [name, { description, content: json(API_FAILURE) }]))
}

function pathParameters({ path }: Route): Json[] {
	if (!path.includes('{domain}')) return []
	return [{ name: 'domain', in: 'path', required: true, description: 'A name or a number.', schema: { type: 'string' } }]
}

function queryParameters({ query }: Route): Json[] {
	return Object.entries(query.entries).map(([name, schema]) => ({ name, in: 'query', schema: schemaOf(schema as v.GenericSchema) }))
}

function json(schema: v.GenericSchema): Json {
	return { 'application/json': { schema: schemaOf(schema) } }
}

function schemaOf(schema: v.GenericSchema): Json {
	const { $schema: _, $defs: __, ...rest } = toJsonSchema(schema, { ...CONVERSION, definitions: NAMED_SCHEMAS }) as Json
	return rest
}
