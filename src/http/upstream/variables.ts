// $upstream_*: what the attempts were, "a, b" for one after the other and "a : b" across an internal redirect.

import { ours, type Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { type AppAnswer, appAnswer } from './app-answer.ts'
import type { Attempt } from './attempt.ts'
import { upstreamSlot } from './exchange.ts'

export const upstreamVariables: Readonly<Record<string, Variable>> = {
  upstream_addr: each(
    attempt => attempt.addr,
    answer => answer.appName,
  ),
  upstream_status: each(
    attempt => (attempt.status === 0 ? '-' : String(attempt.status)),
    answer => (answer.appStatus === 0 ? '-' : String(answer.appStatus)),
  ),
  upstream_connect_time: each(attempt => seconds(attempt.connectMs)),
  upstream_header_time: each(
    attempt => seconds(attempt.headerMs),
    answer => seconds(answer.headMs),
  ),
  upstream_response_time: each(
    (attempt, r) => seconds(attempt.responseMs < 0 && r.done ? attempt.elapsed : attempt.responseMs),
    answer => seconds(answer.appMs),
  ),
  upstream_response_length: each(attempt => String(attempt.responseLength)),
  upstream_bytes_received: each(attempt => String(attempt.bytesReceived)),
  upstream_bytes_sent: each((attempt, r) => {
    // Of the one that is under way it is asked for now.
    upstreamSlot.get(r)!.settleCounts()
    return String(attempt.bytesSent)
  }),
  // These are of NGINX Plus.
  ...ours({
    upstream_queue_time: each(
      attempt => seconds(attempt.queueMs),
      answer => seconds(answer.waitedMs),
    ),
    upstream_last_server_name: { get: r => upstreamSlot.get(r)?.choice.lastServer || null },
  }),
}

export const upstreamPrefixVariables: Readonly<Record<string, (rest: string) => Variable>> = {
  upstream_http_: rest => {
    const name = rest.replaceAll('_', '-')
    return { get: r => responseField(r, name) }
  },
  upstream_trailer_: rest => {
    const name = rest.replaceAll('_', '-')
    return { get: r => responseTrailer(r, name) }
  },
  upstream_cookie_: rest => ({ get: r => responseCookie(r, rest) }),
}

/** @param ofApp the same of an application, which is no upstream and stands in its place */
function each(
  show: (attempt: Attempt, r: HttpRequest) => string,
  ofApp: ((answer: AppAnswer) => string) | null = null,
): Variable {
  return {
    get(r: HttpRequest): string | null {
      const x = upstreamSlot.get(r)
      if (x === null) return ofApp === null ? null : fromApp(r, ofApp)
      if (x.attempts.length === 0) return null
      let text = show(x.attempts[0]!, r)
      for (let i = 1; i < x.attempts.length; i++) {
        const attempt = x.attempts[i]!
        text += (attempt.redirected ? ' : ' : ', ') + show(attempt, r)
      }
      return text
    },
  }
}

function fromApp(r: HttpRequest, show: (answer: AppAnswer) => string): string | null {
  const answer = appAnswer.get(r)
  return answer === null ? null : show(answer)
}

/** `0.012` */
function seconds(ms: number): string {
  return ms < 0 ? '-' : (ms / 1000).toFixed(3)
}

/** All fields of that name, as nginx joins them. */
function responseField(r: HttpRequest, name: string): string | null {
  let joined: string | null = null
  eachField(r, name, value => (joined = joined === null ? value : `${joined}, ${value}`))
  return joined
}

function eachField(r: HttpRequest, name: string, take: (value: string) => void): void {
  const x = upstreamSlot.get(r)
  if (x !== null) {
    for (let i = 0; i < x.names.length; i++) if (x.names[i] === name) take(x.values[i]!)
    return
  }
  const fields = appAnswer.get(r)?.appFields ?? []
  for (let i = 1; i + 1 < fields.length; i += 2) if (fields[i]!.toLowerCase() === name) take(fields[i + 1]!)
}

/** All trailers of that name, which have come with the last piece of the body. */
function responseTrailer(r: HttpRequest, name: string): string | null {
  const x = upstreamSlot.get(r)
  if (x === null) return null
  let joined: string | null = null
  for (let i = 0; i + 1 < x.trailers.length; i += 2) {
    if (x.trailers[i]!.toLowerCase() !== name) continue
    joined = joined === null ? x.trailers[i + 1]! : `${joined}, ${x.trailers[i + 1]}`
  }
  return joined
}

function responseCookie(r: HttpRequest, name: string): string | null {
  let found: string | null = null
  eachField(r, 'set-cookie', value => {
    const equals = value.indexOf('=')
    if (found !== null || equals === -1 || value.slice(0, equals).trim().toLowerCase() !== name.toLowerCase()) return
    const semicolon = value.indexOf(';', equals)
    found = value.slice(equals + 1, semicolon === -1 ? value.length : semicolon).trim()
  })
  return found
}
