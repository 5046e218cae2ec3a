// A front whose threads serve no HTTP: see fake-thread.ts.

import { runFront } from '../../src/process/front.ts'

runFront(new URL('./fake-thread.ts', import.meta.url))
