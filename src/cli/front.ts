// The front process's entry.

import { runFront } from '../process/front.ts'

process.title = 'portico: front process'
runFront(new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url))
