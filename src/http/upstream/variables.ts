// $upstream_*: what the attempts were, "a, b" for one after the other and "a : b" across an internal redirect.

import type { Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { Attempt } from './attempt.ts'
import { upstreamSlot } from './exchange.ts'

export const upstreamVariables: Readonly<Record<string, Variable>> = {
  upstream_addr: each(attempt => attempt.addr),
  upstream_status: each(attempt => (attempt.status === 0 ? '-' : String(attempt.status))),
  upstream_queue_time: each(attempt => seconds(attempt.queueMs)),
  upstream_connect_time: each(attempt => seconds(attempt.connectMs)),
  upstream_header_time: each(attempt => seconds(attempt.headerMs)),
  upstream_response_time: each((attempt, r) =>
    seconds(attempt.responseMs < 0 && r.done ? attempt.elapsed : attempt.responseMs),
  ),
  upstream_response_length: each(attempt => String(attempt.responseLength)),
  upstream_bytes_received: each(attempt => String(attempt.bytesReceived)),
  upstream_bytes_sent: each((attempt, r) => {
    // Of the one that is under way it is asked for now.
    upstreamSlot.get(r)!.settleCounts()
    return String(attempt.bytesSent)
  }),
  upstream_last_server_name: { get: r => upstreamSlot.get(r)?.choice.lastServer || null },
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

function each(show: (attempt: Attempt, r: HttpRequest) => string): Variable {
  return {
    get(r: HttpRequest): string | null {
      const x = upstreamSlot.get(r)
      if (x === null || x.attempts.length === 0) return null
      let text = show(x.attempts[0]!, r)
      for (let i = 1; i < x.attempts.length; i++) {
        const attempt = x.attempts[i]!
        text += (attempt.redirected ? ' : ' : ', ') + show(attempt, r)
      }
      return text
    },
  }
}

/** `0.012` */
function seconds(ms: number): string {
  return ms < 0 ? '-' : (ms / 1000).toFixed(3)
}

/** All fields of that name, as nginx joins them. */
function responseField(r: HttpRequest, name: string): string | null {
  const x = upstreamSlot.get(r)
  if (x === null) return null
  let joined: string | null = null
  for (let i = 0; i < x.names.length; i++) {
    if (x.names[i] === name) joined = joined === null ? x.values[i]! : `${joined}, ${x.values[i]}`
  }
  return joined
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
  const x = upstreamSlot.get(r)
  if (x === null) return null
  for (let i = 0; i < x.names.length; i++) {
    if (x.names[i] !== 'set-cookie') continue
    const value = x.values[i]!
    const equals = value.indexOf('=')
    if (equals === -1 || value.slice(0, equals).trim().toLowerCase() !== name.toLowerCase()) continue
    const semicolon = value.indexOf(';', equals)
    return value.slice(equals + 1, semicolon === -1 ? value.length : semicolon).trim()
  }
  return null
}
