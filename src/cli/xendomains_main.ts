/** The program: bin/xendomains runs it. */
import { runProcess } from './program.ts'
import { runXendomains } from './xendomains.ts'

await runProcess('xendomains', (words, context) => runXendomains(words, context, process.env))
