// The response on its way to the client: its head is read and passed on, its body decoded and given to the client as the
// upstream sends it, through a ResponseBuffer unless buffering is off.

import { ERR, WARN } from '../../log/error-log.ts'
import { EMPTY, FLUSH, LAST, sendHead } from '../output.ts'
import { interceptsError } from '../error-page.ts'
import { accelRedirect } from '../internal-redirect.ts'
import { ResponseBuffer } from '../response-buffer.ts'
import { setRate } from '../access/limit-rate.ts'
import { OVER, RELAYING } from './exchange-state.ts'
import type { Exchange } from './exchange.ts'
import { forceRanges, RangeStage } from './force-ranges.ts'
import { readRateOf } from './read-rate.ts'
import { obeyFields } from './response-fields.ts'
import { mayPassOn, reasonOf } from './retry.ts'
import { IGNORE_ACCEL_REDIRECT, INVALID_HEADER } from './settings.ts'
import { StoredResponse } from './store.ts'
import { PassedTrailers } from './trailers.ts'
import { tunnel } from './tunnel.ts'

/** Interim heads (1xx) an upstream may send before its answer. */
const INTERIMS_MAX = 64

export function readHead(x: Exchange, received: Buffer): void {
  x.r.action = 'reading response header from upstream'
  const chunk = x.partial === null ? received : Buffer.concat([x.partial, received])
  const end = chunk.length
  let at = 0
  for (;;) {
    const taken = at === end ? 0 : x.protocol.readHead(x, chunk, at, end)
    if (taken < 0) {
      refuse(x, x.problem)
      return
    }
    if (taken === 0) break
    at += taken
    // Taken in by the protocol's own reader, which wants more of it.
    if (x.status === 0) continue
    if (x.status >= 200 || x.status === 101) {
      x.partial = null
      headComplete(x, chunk, at)
      return
    }
    if (++x.interims > INTERIMS_MAX) {
      refuse(x, 'upstream sent too many interim responses')
      return
    }
    x.protocol.beginResponse(x)
  }
  // The head is not complete: what has come of it waits for the rest, at most proxy_buffer_size of it.
  x.partial = at === end ? null : Buffer.from(chunk.subarray(at))
  if (x.bodySent) x.link!.watch(x.settings.readTimeout)
}

function refuse(x: Exchange, problem: string): void {
  if (problem !== '') x.log(ERR, `${problem} while ${x.action()}`)
  x.failed(INVALID_HEADER)
}

/** What becomes of the response: another server is asked, the cache has its own, we answer ourselves, or it goes to the client. */
function headComplete(x: Exchange, chunk: Buffer, at: number): void {
  const attempt = x.attempt!
  if (attempt.status === 0) attempt.status = x.status
  attempt.headerMs = attempt.elapsed
  const more = at < chunk.length
  const why = x.status >= 300 ? reasonOf(x.status) : 0
  if (why !== 0 && mayPassOn(x, why)) {
    // memcached's `END` is all there is to read.
    if (x.protocol.pageless === true && x.reusable && !more) x.giveBack()
    x.failed(why)
    return
  }
  if (x.cache !== null && x.cache.takeHead(why, more)) return
  if (x.r.done) {
    if (x.hearsOut) drop(x, chunk, at)
    return
  }
  if (x.status >= 300 && intercept(x, more)) return
  const { peer } = x.choice
  if (peer !== null) {
    x.choice.headCame(attempt.headerMs)
    if (x.group.sticky !== null) x.group.sticky.answered(x.r, peer)
  }
  takeHead(x, chunk, at)
}

/** A page of our own in place of the upstream's (proxy_intercept_errors), or because it has none. False: its own is good. */
function intercept(x: Exchange, more: boolean): boolean {
  if (x.settings.interceptErrors && interceptsError(x.r, x.status)) {
    // Who is asked to authenticate must be told how.
    if (x.status === 401) keepChallenges(x)
    obeyFields(x)
    if (x.cache !== null) x.cache.rememberStatus(x.status)
    leaveBody(x, more)
    x.finalize(x.status)
    return true
  }
  if (x.status === 404 && x.protocol.pageless === true) {
    x.complete(more)
    x.finalize(404)
    return true
  }
  return false
}

/** The head becomes the response's, which may be another location's, a tunnel or what the upstream has sent. */
function takeHead(x: Exchange, chunk: Buffer, at: number): void {
  const redirect = (x.settings.ignoreHeaders & IGNORE_ACCEL_REDIRECT) === 0 ? x.names.indexOf('x-accel-redirect') : -1
  x.leadsWithin = redirect !== -1
  x.protocol.passHead(x)
  if (redirect !== -1) {
    leaveBody(x, at < chunk.length)
    x.letGo()
    accelRedirect(x.r, x.values[redirect]!)
    return
  }
  if (x.status === 101 && x.upgrade) {
    tunnel(x, chunk.subarray(at))
    return
  }
  begin(x, chunk, at)
}

/** The head goes to the client, and the body begins. */
function begin(x: Exchange, chunk: Buffer, at: number): void {
  const { r, settings } = x
  if (settings.forceRanges) forceRanges(r, settings.maxRanges)
  // nginx's rule: what is not buffered leaves as it comes.
  if (!x.buffering) setRate(r, 0)
  store(x)
  if (x.cache !== null && x.cache.cacheable) x.cache.weigh(settings.forceRanges)
  if (!sendHead(r)) {
    x.letGo()
    return
  }
  // A filter has given up on it.
  if (x.state === OVER) return
  if (r.range !== null && x.status === 200) new RangeStage(r.range.ranges[0]!).enter(r)
  if (settings.passTrailers && mayHaveTrailers(x)) r.trailers = new PassedTrailers(x, r.trailers)
  relay(x, chunk, at)
}

/** Behind a body of known length, only HTTP/2 has room for them. */
function mayHaveTrailers({ r, chunked, contentLength, protocol }: Exchange): boolean {
  if (chunked) return r.version >= 11
  return r.version >= 20 && contentLength > 0 && protocol.writeBody !== undefined
}

function store(x: Exchange): void {
  if (x.settings.store !== null && x.status === 200 && x.method !== 'HEAD')
    x.stored = new StoredResponse(x.r, x.settings.store)
  else if (x.cache !== null && x.buffering) x.stored = x.cache.storing()
}

/** Nobody wants the body. Where there is none, the connection is good for another request (ngx_http_proxy_process_header). */
function leaveBody(x: Exchange, more: boolean): void {
  x.protocol.beginBody(x)
  if (x.bodyDone) x.complete(more)
}

function keepChallenges(x: Exchange): void {
  for (let i = 0; i < x.names.length; i++) {
    if (x.names[i] === 'www-authenticate') x.r.addHeader('WWW-Authenticate', x.values[i]!)
  }
}

function relay(x: Exchange, chunk: Buffer, at: number): void {
  const { r } = x
  x.protocol.beginBody(x)
  x.state = RELAYING
  r.action = 'sending to client'
  if (x.buffering && x.settings.limitRate !== null) x.readRate = readRateOf(x, x.settings.limitRate)
  if (x.bodyDone || (r.bodiless && x.stored === null)) {
    // nginx looks no further than the head of what it knows to have no body: by the method, or by a status that is its own to write.
    const looksOn = r.method !== 'HEAD' && (!r.bodiless || (x.statusText !== '' && hasNoBody(x.status)))
    if (looksOn) x.attempt!.responseLength += chunk.length - at
    // A body the client does not want (HEAD made GET by proxy_method) is not read to its end.
    x.preread = !x.buffering
    if (looksOn && x.bodyDone && x.method !== 'HEAD') overrun(x, chunk, at)
    x.preread = false
    finishStored(x)
    x.complete(!x.bodyDone || at < chunk.length)
    r.out.write(r, EMPTY, LAST)
    return
  }
  // Who has asked for the head alone need not wait for the body.
  if (r.bodiless) r.out.write(r, EMPTY, FLUSH)
  if (at < chunk.length) take(x, chunk, at)
  else {
    x.link!.watch(x.settings.readTimeout)
    if (x.headAtOnce()) r.out.write(r, EMPTY, FLUSH)
  }
  // As with nginx, in HTTP/2 a head waits for nothing. No filter need be asked for what it may have of the body.
  if (r.version === 20 || !r.location.postponesOutput) r.stream.writer.write(r, EMPTY, FLUSH)
}

function hasNoBody(status: number): boolean {
  return status === 204 || status === 304
}

function take(x: Exchange, chunk: Buffer, at: number): void {
  x.preread = !x.buffering
  if (x.readRate === null) relayBody(x, chunk, at, chunk.length)
  else x.readRate.take(chunk, at, chunk.length)
  x.preread = false
}

/** Nobody is there to be told: only the exchange itself is brought to its end. */
function drop(x: Exchange, chunk: Buffer, at: number): void {
  store(x)
  x.protocol.beginBody(x)
  x.state = RELAYING
  if (x.bodyDone) {
    finishStored(x)
    x.complete(at < chunk.length)
  } else if (at < chunk.length) relayBody(x, chunk, at, chunk.length)
}

/** The body is whole. */
function finishStored(x: Exchange): void {
  if (x.stored === null) return
  const at = x.names.indexOf('last-modified')
  x.stored.finish(x.contentLength, at === -1 ? '' : x.values[at]!)
}

/** Bytes of the body's part of the connection. */
export function relayBody(x: Exchange, chunk: Buffer, start: number, end: number): void {
  x.attempt!.responseLength += end - start
  x.chunk = chunk
  x.pieceStart = 0
  x.pieceEnd = 0
  const stop = x.protocol.readBody(x, chunk, start, end)
  if (x.state === OVER) return
  if (stop < 0) {
    x.log(ERR, `${x.problem} while ${x.action()}`)
    if (x.pieceEnd > x.pieceStart) continueBody(x, false)
    x.cut(false)
  } else if (x.bodyDone) {
    overrun(x, chunk, stop)
    storeLast(x)
    // First the connection goes back, then the client gets its last piece: its next request may need the connection.
    x.complete(stop < end)
    continueBody(x, true)
  } else {
    x.link!.watch(x.settings.readTimeout)
    if (x.pieceEnd > x.pieceStart) continueBody(x, false)
  }
  x.chunk = null
}

/** Passes on the piece at hand. */
export function continueBody(x: Exchange, last: boolean): void {
  const piece = x.pieceEnd > x.pieceStart ? x.chunk!.subarray(x.pieceStart, x.pieceEnd) : EMPTY
  x.pieceStart = 0
  x.pieceEnd = 0
  if (x.stored !== null && !last) x.stored.write(piece)
  const { r } = x
  if (r.done) return
  if (x.buffer !== null || (x.buffering && !last)) {
    if (x.buffer === null) x.buffer = new ResponseBuffer(r, x, x.settings.bufferLimits)
    if (!x.buffer.push(r, piece, last)) hold(x)
  } else if (!r.out.writeVolatile(r, piece, last ? LAST : FLUSH) && !last) hold(x)
}

/** The client is so slow that everything meant for it is full: the upstream waits, and is not timed. */
function hold(x: Exchange): void {
  x.held = true
  if (x.link === null || x.state === OVER) return
  x.link.connection.pause()
  x.link.unwatch()
}

/** The upstream has closed its side. */
export function endOfBody(x: Exchange): void {
  if (!x.protocol.endsAtClose(x)) {
    x.log(ERR, 'upstream prematurely closed connection while reading upstream')
    x.cut(true)
    return
  }
  x.bodyDone = true
  storeLast(x)
  x.complete(true)
  continueBody(x, true)
}

/** With the piece at hand the file is complete, and in its place before the client can know. */
function storeLast(x: Exchange): void {
  if (x.stored === null) return
  if (x.pieceEnd > x.pieceStart) x.stored.write(x.chunk!.subarray(x.pieceStart, x.pieceEnd))
  finishStored(x)
}

function overrun(x: Exchange, chunk: Buffer, at: number): void {
  if (at >= chunk.length) return
  // Of what has no body, nginx expects a length of 0.
  const inChunks = x.chunked && x.status !== 204 && x.status !== 304
  const what = inChunks ? 'data after final chunk' : 'more data than specified in "Content-Length" header'
  x.log(WARN, `upstream sent ${what} while ${x.action()}`)
}
