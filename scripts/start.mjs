// npm start: sets up what is missing, then boots a guest (start_guest.ts).
import { setUpAndRun } from './set_up.mjs'

await setUpAndRun('scripts/start_guest.ts', process.argv.slice(2))
