// npm test: sets up what is missing, then runs every check (run_tests.ts).
import { setUpAndRun } from './set_up.mjs'

await setUpAndRun('scripts/run_tests.ts', process.argv.slice(2))
