// THE LIFE OF A REQUEST — start reading here.
//
//   session.ts reads a head ─▶ begin() ─▶ the server's steps: post-read, server-rewrite, then find-config
//                                          │ finds the location and jumps to its own list of steps:
//                                          ▼
//          rewrite → (uri changed? find-config again) → preaccess → access → precontent → content → 404
//                                          │ a handler answers: the response is made
//                                          ▼
//          output.ts: head filters, body stages ─▶ the client's connection ─▶ log handlers ─▶ next request
//
// Each location has one flat list of steps, made when the configuration was compiled. A step answers with a small
// integer (module.ts); this loop is all that interprets it. Nothing here waits, throws or allocates.

import { NEXT, SKIP, type Handler, type Phase } from './module.ts'
import { respondSpecial } from './output.ts'
import type { HttpRequest } from './request.ts'

/** One handler with its configuration, and where the following phase begins. */
export class Step {
  readonly run: Handler<any>
  readonly conf: unknown
  phaseEnd: number
  constructor(run: Handler<any>, conf: unknown, phaseEnd: number) {
    this.run = run
    this.conf = conf
    this.phaseEnd = phaseEnd
  }
}

export const SERVER_PHASES: readonly Phase[] = ['post-read', 'server-rewrite']
export const LOCATION_PHASES: readonly Phase[] = ['rewrite', 'preaccess', 'access', 'precontent', 'content']

/** Runs the request from the step it stands at. */
export function run(r: HttpRequest): void {
  for (;;) {
    const step = r.steps[r.cursor]!
    const answer = step.run(r, step.conf)
    if (answer === NEXT) r.cursor++
    else if (answer === SKIP) r.cursor = r.steps[r.cursor]!.phaseEnd
    else {
      if (answer >= 200) respondSpecial(r, answer)
      return
    }
  }
}

/** Goes on after WAIT with the answer the waiting step would have given. A request that has ended meanwhile stays ended. */
export function resume(r: HttpRequest, answer: number): void {
  if (r.done) return
  if (answer === NEXT) r.cursor++
  else if (answer === SKIP) r.cursor = r.steps[r.cursor]!.phaseEnd
  else {
    if (answer >= 200) respondSpecial(r, answer)
    return
  }
  run(r)
}

/** Puts the request at the beginning of another list of steps (a location found, an internal redirect). */
export function enter(r: HttpRequest, steps: readonly Step[]): void {
  r.steps = steps
  r.cursor = -1
}
