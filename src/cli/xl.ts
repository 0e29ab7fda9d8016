/** The program: bin/xl runs it. */
import { runProcess } from './program.ts'
import { runXl } from './xl/personality.ts'

await runProcess('xl', runXl)
