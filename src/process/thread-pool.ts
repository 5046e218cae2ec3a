// The threads that do for a process what would make it wait: files, names. libuv starts them when there is something for them first,
// and ends the process if it cannot have them then, as where a container's processes are counted and all are in use.

import { access } from 'node:fs'

/** Now rather than in the midst of service. */
export function startThreadPool(): void {
  access('/', () => {})
}
