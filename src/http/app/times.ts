// What became of a request at an application: the raw material of $app_queue_time, $app_time and their relatives, and of the
// Server-Timing field.

import { type Variable, Slot } from '../module.ts'
import type { HttpRequest } from '../request.ts'

export interface AppTimes {
  readonly appName: string
  /** Pid of the worker it was given to, 0 for none. */
  readonly worker: number
  /** The status it answered with, 0 for none. */
  readonly appStatus: number
  /** ms it waited for a worker. */
  readonly waitedMs: number
  /** ms the worker had it, until now if it still has it; -1 when none had. */
  readonly appMs: number
}

/** Of the request's last application. */
export const appTimes = new Slot<AppTimes>()

/** Seconds, as nginx shows them. */
function seconds(ms: number): string {
  return (Math.max(ms, 0) / 1000).toFixed(3)
}

function variable(show: (times: AppTimes) => string | null): Variable {
  return {
    get(r) {
      const times = appTimes.get(r)
      return times === null ? null : show(times)
    },
  }
}

export const appVariables: Readonly<Record<string, Variable>> = {
  app_name: variable(times => times.appName),
  app_worker: variable(times => (times.worker === 0 ? null : `${times.worker}`)),
  app_status: variable(times => (times.appStatus === 0 ? null : `${times.appStatus}`)),
  app_queue_time: variable(times => seconds(times.waitedMs)),
  app_time: variable(times => (times.appMs < 0 ? null : seconds(times.appMs))),
}

/** Tells the client's developer tools, in ms (W3C Server Timing). With a streamed response `app` is the time until its head. */
export function addServerTiming(r: HttpRequest, times: AppTimes): void {
  const app = times.appMs < 0 ? '' : `, app;dur=${times.appMs.toFixed(1)}`
  r.addHeader('Server-Timing', `queue;dur=${Math.max(times.waitedMs, 0).toFixed(1)}${app}`)
}
