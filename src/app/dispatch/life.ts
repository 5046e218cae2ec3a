// How many requests a worker serves before it is replaced.

import type { AppSettings } from '../app.ts'

/**
 * max_requests and up to jitter more, by the pid, so that all threads agree and workers started together do not go together.
 * With threads it is that of each of the worker's seats. 0: for ever.
 */
export function lifeOf({ maxRequests, maxRequestsJitter, kind, threads }: AppSettings, pid: number): number {
  if (maxRequests === 0) return 0
  const life = maxRequests + ((Math.imul(pid, 0x9e3779b1) >>> 0) % (maxRequestsJitter + 1))
  return kind === 'threads' ? Math.max(1, Math.ceil(life / threads)) : life
}
