/** The program: bin/xm runs it. */
import { runXm } from './main.ts'
import { runProcess } from './program.ts'

await runProcess('xm', runXm)
