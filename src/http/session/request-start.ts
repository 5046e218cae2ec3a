// A request's beginning, when its head has been read: what the head says of its URI and host, then the first step.

import { parseRawUri, parseUri, Uri } from '../../codec/h1/uri.ts'
import { INFO } from '../../log/error-log.ts'
import { respondSpecial } from '../output.ts'
import { run } from '../phases.ts'
import { execute, FAILED, type Pattern } from '../regex.ts'
import type { HttpRequest } from '../request.ts'
import type { ServerRuntime } from '../runtime.ts'
import { tlsRefusal, type ClientTls } from '../ssl/client-tls.ts'

const target = new Uri()

/**
 * Sends the request on its way.
 * @param main answers where the first line is wrong already: nobody has asked then which host is meant
 * @param expectsTls does its address speak TLS? Then the connection may be why it is refused
 */
export function startRequest(r: HttpRequest, main: ServerRuntime, expectsTls: boolean, tls: ClientTls | null): void {
  const { head } = r
  r.unparsedUri = head.path
  r.host = head.host ?? ''
  if (r.method === 'CONNECT') {
    // Nobody knows what comes behind it if it is not a tunnel.
    r.keepAlive = false
    if (!r.server.tunnels && !r.server.limits.raw) {
      r.log(INFO, 'client sent CONNECT method while reading client request headers')
      respondSpecial(r, 405)
      return
    }
  }
  if (!readUri(r, target)) {
    const part = head.version === 20 ? 'request headers' : requestLine(r)
    // HTTP/2 makes one when its parts have been found good.
    if (head.version === 20) head.text = ''
    giveTo(r, main)
    r.log(INFO, `client sent invalid request while reading client ${part}`)
    r.unparsedUri = ''
    r.keepAlive = false
    respondSpecial(r, 400)
    return
  }
  r.uri = target.uri
  r.args = target.args
  r.uriIsRaw = !target.complex && head.path === head.target
  const refusal = expectsTls ? tlsRefusal(r, tls) : 0
  if (refusal === 0) run(r)
  else respondSpecial(r, refusal)
}

/** The path and the arguments of what was asked for. False: it is invalid. */
export function readUri({ head, server }: HttpRequest, into: Uri): boolean {
  const valid = parseUri(head.path, head.mergeSlashes, into)
  if (!server.limits.raw || (valid && !into.complex)) return valid
  parseRawUri(head.path, into)
  return true
}

function giveTo(r: HttpRequest, server: ServerRuntime): void {
  r.server = server
  r.location = server.outside
  r.steps = server.outside.steps
}

/** Answers a request whose head could not be read. Nobody knows where the next one would begin. */
export function refuseRequest(r: HttpRequest, status: number): void {
  const { head } = r
  r.keepAlive = false
  // As long as the line does not say more: chunks may be unheard of.
  if (!readTarget(r)) r.version = 10
  r.log(INFO, `${head.error} while reading client ${readPart(r)}`)
  respondSpecial(r, status)
}

/** What the name of its server captures. Where that gives up, nobody knows whose the request is: it has a status then, and no
 *  answer (ngx_http_set_virtual_server). */
export function takeName(r: HttpRequest, name: Pattern, host: string): void {
  if (execute(r, name, host) !== FAILED) return
  readTarget(r)
  r.status = 500
}

/** What was being read of a head that goes no further. */
export function readPart(r: HttpRequest): string {
  return r.head.lineStop === 0 && r.head.version !== 20 ? requestLine(r) : 'request headers'
}

function requestLine(r: HttpRequest): string {
  return r.stream.pipelined ? 'pipelined request line' : 'request line'
}

/** Fields that ignore_invalid_headers has left out: whoever misses them should find out why. */
export function logDropped(r: HttpRequest): void {
  for (const line of r.head.dropped.split('\n')) {
    r.log(INFO, `client sent invalid header line: "${line}" while reading client request headers`)
  }
}

/** Of a head that goes no further, for logs and error pages. False: its first line was not read to the end. */
export function readTarget(r: HttpRequest): boolean {
  const { head } = r
  if (head.lineStop === 0 && head.version !== 20) return false
  if (parseUri(head.path, head.mergeSlashes, target)) {
    r.unparsedUri = head.path
    r.uri = target.uri
    r.args = target.args
  }
  return true
}
