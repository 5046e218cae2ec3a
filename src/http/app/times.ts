// $app_queue_time, $app_time and their relatives, and the Server-Timing field.

import { ours, type Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { type AppAnswer, appAnswer } from '../upstream/app-answer.ts'

/** Seconds, as nginx shows them. */
function seconds(ms: number): string {
  return (Math.max(ms, 0) / 1000).toFixed(3)
}

function variable(show: (times: AppAnswer) => string | null): Variable {
  return {
    get(r) {
      const times = appAnswer.get(r)
      return times === null ? null : show(times)
    },
  }
}

export const appVariables = ours({
  app_name: variable(times => times.appName),
  app_worker: variable(times => (times.worker === 0 ? null : `${times.worker}`)),
  app_status: variable(times => (times.appStatus === 0 ? null : `${times.appStatus}`)),
  app_queue_time: variable(times => seconds(times.waitedMs)),
  app_time: variable(times => (times.appMs < 0 ? null : seconds(times.appMs))),
})

/** Tells the client's developer tools, in ms (W3C Server Timing). With a streamed response `app` is the time until its head. */
export function addServerTiming(r: HttpRequest, times: AppAnswer): void {
  const app = times.appMs < 0 ? '' : `, app;dur=${times.appMs.toFixed(1)}`
  r.addHeader('Server-Timing', `queue;dur=${Math.max(times.waitedMs, 0).toFixed(1)}${app}`)
}
