// Fetches guests' kernels and makes their initramfs: node scripts/assets.ts [NAME ... | all]. Prints where they are, as JSON.
import { UserError } from '../src/base/errors.ts'
import { ensureGuestAssets, GUEST_NAMES } from '../src/platform/node/guest_assets.ts'

const names = process.argv.slice(2)
const which = names.includes('all') ? GUEST_NAMES : names.length > 0 ? names : ['cloud-6.1']
try {
	const assets = await ensureGuestAssets(which, (line) => console.error(`xenotype: ${line}`))
	console.log(JSON.stringify(assets, null, '\t'))
} catch (error) {
	if (!(error instanceof UserError)) throw error
	console.error(`assets: ${error.message}`)
	process.exitCode = error.exitCode
}
