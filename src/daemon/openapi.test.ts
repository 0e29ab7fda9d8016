import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { OPENAPI_FILE, openApiText } from '../../scripts/openapi.ts'
import { openApi } from './openapi.ts'
import { findRoute, ROUTES } from './routes.ts'

interface Operation {
	readonly operationId: string
}
interface Document {
	readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
	readonly components: { readonly schemas: object; readonly responses: object }
}

const document = openApi('1.2.3') as unknown as Document
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
	Object.entries(item).map(([method, { operationId }]) => ({ path, method: method.toUpperCase(), operationId })),
)

test('docs/openapi.json is what scripts/openapi.ts writes', () => {
	assert.equal(readFileSync(OPENAPI_FILE, 'utf8'), openApiText())
})

test('every call that is dispatched is in the document, and every one of the document is dispatched', () => {
	assert.equal(operations.length, ROUTES.length)
	for (const { path, method, operationId } of operations) {
		assert.equal(findRoute(method, `/v1${path.replace('{domain}', 'web')}`).route.name, operationId)
	}
	assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, ROUTES.length, 'each has a name of its own')
})

test('every reference of the document leads to one of its components', () => {
	const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, to]) => to as string)
	assert.ok(references.includes('#/components/schemas/ApiFailure'))
	for (const to of references) {
		const [, kind, name] = /^#\/components\/(schemas|responses)\/(\w+)$/.exec(to) ?? []
		assert.ok(name !== undefined && name in document.components[kind as 'schemas'], to)
	}
})
