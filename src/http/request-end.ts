// A request's end, whichever way it ended.

import type { BodyStage } from './output.ts'
import type { HttpRequest } from './request.ts'

/** A log handler's answer: those behind it have to wait. */
export const LOGS_LATER = true

export function logRequest(r: HttpRequest): void {
  const { logs } = r.location
  for (let i = 0; i < logs.length; i++) if (logs[i]!.run(r, logs[i]!.conf) === LOGS_LATER) return
}

/** Once for each request: log, then let go of what it held. */
export function endRequest(r: HttpRequest): void {
  if (r.done) return
  r.done = true
  r.action = 'logging request'
  if (r.parent === null || r.location.logSubrequest) logRequest(r)
  if (r.source !== null) {
    const { source } = r
    r.source = null
    source.abort(r)
  }
  for (let stage: BodyStage | null = r.out; stage !== null; stage = stage.next) stage.destroy(r)
  if (r.cleanups !== null) for (const cleanup of r.cleanups) cleanup()
  if (r.body !== null) r.body.release()
}
