// The response's way out: a content handler writes to `r.out`; stages that filters put in the path pass it on; the last
// stage belongs to the client's connection and frames it.
//
//   source ──write()──▶ stage ──write()──▶ … ──▶ client writer ──▶ kernel
//          ◀──drain()──       ◀──drain()──
//
// Backpressure is a return value: write() answers false when the client is slower than we are; then the source holds
// until drain(). A source that must not hold (an upstream to be freed) puts a ResponseBuffer in between.

import { ERR } from '../log/error-log.ts'
import { dropField } from './altered-body.ts'
import { followErrorPage } from './error-page.ts'
import { locationValue } from './field-value.ts'
import { DONE } from './module.ts'
import { checkPreconditions, dateRule, hasConditions } from './not-modified.ts'
import { planRanges, type RangePlan } from './range.ts'
import { CONTENT_TYPE_HTML, isMsie, MSIE_PADDING, refreshPage, specialPage, wantsPadding } from './special-response.ts'
import type { HttpRequest } from './request.ts'
import type { RequestBody } from './request-body.ts'
import type { FilterEntry } from './runtime.ts'

/** write()'s flags: nothing follows. */
export const LAST = 1
/** Do not hold the piece back to gather more. */
export const FLUSH = 2

/** What produces a body: told when the client can take more, and when it has left. */
export interface Source {
  /** Is somebody kept busy for this response (a worker, an upstream)? Then a client that hangs up ends it. */
  readonly needsClient?: boolean
  /** Is the request gone through with though its client has left? */
  readonly outlivesClient?: boolean
  drain(r: HttpRequest): void
  /** The request ended early; produce nothing more and let go of what is held. */
  abort(r: HttpRequest): void
  /** The server goes, and no other takes the connection over: what could last for ever ends now. */
  dismiss?(): void
}

export abstract class BodyStage {
  /** Towards the client. */
  next: BodyStage | null = null
  /** Towards the source; null: the source itself. */
  previous: BodyStage | null = null
  /** False: hold until drain(). The bytes must stay unchanged until they are sent. */
  abstract write(r: HttpRequest, bytes: Buffer, flags: number): boolean
  /** As write() for a chunk of the read buffer (net/read-buffer.ts). A stage that keeps nothing of it need not override. */
  writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    return this.write(r, Buffer.from(chunk), flags)
  }
  /** As write() for latin1 text. */
  writeLatin1(r: HttpRequest, text: string, flags: number): boolean {
    return this.write(r, Buffer.from(text, 'latin1'), flags)
  }
  drain(r: HttpRequest): void {
    if (this.previous !== null) this.previous.drain(r)
    else if (r.source !== null) r.source.drain(r)
  }
  /** Of a last stage: what was written is all there is, and not the whole. The client gets it, and sees that. */
  breakOff(r: HttpRequest): void {
    r.stream.abort(r)
  }
  /** The request ended early. */
  destroy(_r: HttpRequest): void {}
}

export const EMPTY = Buffer.alloc(0)

/** Runs the location's filters over the finished head and hands it to the client's side. False: the request is answered in
 *  another way (412, 416, what a filter set as `errorStatus`), and whoever makes the body lets go of it; only for those who
 *  set `conditional` or `rangesMax`. */
export function sendHead(r: HttpRequest): boolean {
  if (r.headSent) return true
  if (!runFilters(r)) return false
  r.stream.sendHead(r)
  return true
}

function runFilters(r: HttpRequest): boolean {
  if (r.body !== null && r.body.broken && refusesBody(r, r.body)) return false
  r.headSent = true
  if (r.errorStatus !== 0) takeErrorStatus(r)
  if (r.conditional !== null && r.status === 200 && r.parent === null && hasConditions(r)) {
    const status = checkPreconditions(r, r.conditional)
    if (status === 412) {
      // Nothing stays of the response that is not wanted (ngx_http_clean_header).
      r.outNames.length = r.outValues.length = 0
      r.lastModified = r.etag = r.redirect = ''
      return answerInstead(r, 412)
    }
    if (status === 304) becomeNotModified(r)
  }
  r.bodiless = asksHead(r) || (r.parent === null && (r.status === 204 || r.status === 304)) || opensTunnel(r)
  const { filters } = r.location
  const fields = r.outNames.length
  if (filters.length > 0) {
    const { errorStatus } = r
    filterHead(r, filters)
    // One of them found that it is to be another answer.
    if (r.errorStatus !== errorStatus) {
      undoFilters(r, 0)
      return answerInstead(r, r.errorStatus)
    }
  }
  if (r.rangesMax === 0 || planRanges(r)) return true
  const { contentLength } = r
  undoFilters(r, fields)
  // What an error page for this very answer is cut to may be no better.
  dropField(r, 'content-range')
  r.addHeader('Content-Range', `bytes */${contentLength}`)
  return answerInstead(r, 416)
}

/** The body is to be dropped unread, and it is broken: that is the answer (ngx_http_discard_request_body). */
function refusesBody(r: HttpRequest, body: RequestBody): boolean {
  if (r.conditional === null) {
    dropBroken(r, body)
    return false
  }
  r.action = ''
  answerInstead(r, 400)
  return true
}

/** Nobody knows where the next request would begin. */
function dropBroken(r: HttpRequest, body: RequestBody): void {
  body.broken = false
  body.refused = true
  r.log(ERR, 'client sent invalid chunked body')
  r.keepAlive = false
}

/** A line that could not be read to its end has no method for the logs, and yet it may have asked for a head alone. */
function asksHead({ method, head }: HttpRequest): boolean {
  return method === 'HEAD' || (method === '' && head.text.startsWith('HEAD ', head.lineStart))
}

function answerInstead(r: HttpRequest, status: number): false {
  r.headSent = false
  r.conditional = null
  r.rangesMax = 0
  respondSpecial(r, status)
  return false
}

/** The client has it: a head without a body's fields. */
export function becomeNotModified(r: HttpRequest): void {
  r.status = 304
  r.statusLine = ''
  r.contentType = ''
  r.contentLength = -1
  dropField(r, 'content-encoding')
}

/** They will see another head. */
function undoFilters(r: HttpRequest, fields: number): void {
  const { writer } = r.stream
  for (let stage: BodyStage | null = r.out; stage !== null && stage !== writer; stage = stage.next) stage.destroy(r)
  r.out = writer
  writer.previous = null
  r.trailers = null
  r.outNames.length = r.outValues.length = Math.min(fields, r.outNames.length)
}

/** What follows the answer to CONNECT is no body (RFC 9110, 9.3.6). */
function opensTunnel(r: HttpRequest): boolean {
  return r.method === 'CONNECT' && r.status >= 200 && r.status < 300 && !r.server.limits.raw
}

/** The first filter to see the head sits closest to the source, the last one next to the client. */
function filterHead(r: HttpRequest, filters: readonly FilterEntry[]): void {
  const { out: writer } = r
  let last: BodyStage | null = null
  for (let i = 0; i < filters.length; i++) {
    const filter = filters[i]!
    const stage = filter.run(r, filter.conf)
    if (stage === null) continue
    stage.previous = last
    stage.next = writer
    writer.previous = stage
    if (last === null) r.out = stage
    else last.next = stage
    last = stage
  }
}

/** An error page comes with the error's status, whatever it would have of its own. */
function takeErrorStatus(r: HttpRequest): void {
  // A page that stands for the real thing may be asked for in part, or conditionally.
  if (r.errorStatus === 200 && (r.status === 206 || r.status === 304)) return
  r.status = r.errorStatus
  r.statusLine = ''
  if (r.status !== 200 && r.status !== 206 && r.status !== 304 && !r.lastModifiedStays) r.lastModified = ''
}

/** A complete response from memory. Strings are latin1. */
export function respond(r: HttpRequest, status: number, contentType: string, body: string | Buffer): number {
  r.status = status
  r.contentType = contentType
  r.contentLength = body.length
  if (r.conditional === null) r.conditional = dateRule.get(r)
  if (!runFilters(r)) return DONE
  if (r.range !== null) body = partsOf(body, r.range)
  if (typeof body === 'string' && r.out === r.stream.writer && r.trailers === null) r.stream.sendText(r, body)
  else {
    r.stream.sendHead(r)
    if (typeof body === 'string') r.out.writeLatin1(r, body, LAST)
    else r.out.write(r, body, LAST)
  }
  return DONE
}

function partsOf(body: string | Buffer, { ranges, around }: RangePlan): string | Buffer {
  const text = typeof body === 'string' ? body : body.toString('latin1')
  let parts = ''
  for (let i = 0; i < ranges.length; i++)
    parts += (around?.heads[i] ?? '') + text.slice(ranges[i]!.start, ranges[i]!.end)
  return around === null ? parts : parts + around.tail
}

/** An error page of the location's, or nginx's built-in page for the status. @param bare that one without its text */
export function respondSpecial(r: HttpRequest, status: number, bare = false): number {
  if (r.headSent) {
    // Too late for another status: the client must see that the response is not whole.
    r.stream.abort(r)
    return DONE
  }
  if (ENDS_UNANSWERED.has(status)) {
    endConnection(r, status)
    return DONE
  }
  if (r.parent !== null && r.stream.insteadOfError!(r, status)) return DONE
  r.errorStatus = status
  r.statusLine = ''
  r.contentType = ''
  if (ENDS_CONNECTION.has(status)) r.keepAlive = false
  if (r.body !== null && r.body.isRefused()) {
    r.body.release()
    r.body = null
  }
  if (!followErrorPage(r, status)) respondBuiltIn(r, status, bare)
  return DONE
}

/** A subrequest that has no answer ends the request that it is for (ngx_http_terminate_request). */
function endConnection(r: HttpRequest, status: number): void {
  if (!r.headSent) r.status = status
  if (r.parent !== null) endConnection(r.parent, status)
  r.stream.abort(r)
}

/** nginx has no answer for these: the connection just ends (ngx_http_finalize_request). */
const ENDS_UNANSWERED = new Set([408, 444, 499])

/** Nobody knows what else such a client sends, or what state we are in. */
const ENDS_CONNECTION = new Set([400, 408, 413, 414, 494, 495, 496, 497, 500, 501])

/** Where a redirect leads; an earlier one, whose page this is, is forgotten (ngx_http_clear_location). */
export function redirectTo(r: HttpRequest, url: string): void {
  if (r.outNames.length > 0) dropField(r, 'location')
  r.redirect = url
}

/** A redirect elsewhere, of the status and to the place that are on the request. */
export function respondRedirect(r: HttpRequest): number {
  return respondBuiltIn(r, r.errorStatus)
}

function isRedirect(status: number): boolean {
  return status >= 301 && status <= 308 && status !== 304
}

function respondBuiltIn(r: HttpRequest, status: number, bare = false): number {
  const { location, body } = r
  if (body !== null && body.broken) dropBroken(r, body)
  r.lastModified = ''
  r.etag = ''
  if (r.outNames.length > 0) dropField(r, 'accept-ranges')
  // Behind an error page it is that of the redirect the page stands for.
  if (!isRedirect(status) && !r.internal) r.redirect = ''
  if (location.msieRefresh && (status === 301 || status === 302) && isMsie(r)) {
    const page = refreshPage(r.redirect)
    r.redirect = ''
    r.errorStatus = 200
    return respond(r, 200, CONTENT_TYPE_HTML, page)
  }
  if (status >= 494 && status <= 497) r.errorStatus = 400
  const page = bare ? '' : specialPage(status, location.product)
  if (page === '') return respond(r, r.errorStatus, '', '')
  const padded = location.msiePadding && status >= 400 && r.version >= 10 && wantsPadding(r)
  return respond(r, r.errorStatus, CONTENT_TYPE_HTML, padded ? page + MSIE_PADDING : page)
}

/** The Location field's value: a path is a place of this server. */
export function locationOf(r: HttpRequest): string {
  const { redirect } = r
  return locationValue(redirect.startsWith('/') && r.location.absoluteRedirect ? absolute(r) + redirect : redirect)
}

/** `http://host:port` for redirects to this server (absolute_redirect and its relatives). */
function absolute(r: HttpRequest): string {
  const { portInRedirect, serverNameInRedirect } = r.location
  const host = serverNameInRedirect ? r.server.name : r.host === '' ? r.stream.serverAddress : r.host
  const port = r.stream.localPort
  const [scheme, usual] = r.stream.tls === null ? ['http', 80] : ['https', 443]
  return portInRedirect && port !== usual && port !== 0 ? `${scheme}://${host}:${port}` : `${scheme}://${host}`
}
