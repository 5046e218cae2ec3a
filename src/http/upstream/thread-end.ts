// What a thread has in memory that others share is given back when it ends, in whichever way: a shutdown that does not wait,
// an error nobody has caught.

import { isMainThread } from 'node:worker_threads'
import type { HttpSetup } from '../setup.ts'

export function whenThreadEnds(http: HttpSetup, run: () => void): void {
  http.onStop(run)
  if (!isMainThread) http.onStart(() => void process.once('exit', run))
}
