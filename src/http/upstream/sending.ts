// The request on its way to the upstream: head and body in as few writes as there can be, and never more in memory than
// the connection takes.

import { failureText } from '../../lib/errno.ts'
import { CRIT } from '../../log/error-log.ts'
import { EMPTY } from '../output.ts'
import { ASKING, OVER } from './exchange-state.ts'
import type { Exchange } from './exchange.ts'

const PIECE = 65536

/** Sends the request over the connection in hand, from its beginning. */
export function sendRequest(x: Exchange): void {
  const link = x.link!
  x.state = ASKING
  link.requests++
  link.bytesBefore = link.connection.bytesOut
  if (x.protocol.namesPeer === true) x.head = null
  const head = (x.head ??= x.protocol.requestHead(x))
  if (head === '' && x.protocol.writeBody === undefined) {
    x.finalize(500)
    return
  }
  x.protocol.beginResponse(x)
  x.requestSent = true
  x.r.action = 'sending request to upstream'
  const { body } = x.r
  if (x.streamed !== null) {
    x.streamed.open(x, head)
  } else if (x.protocol.writeBody !== undefined) sendControlled(x, head)
  else if (!x.sendsBody || body === null || body.length === 0) {
    sent(x, link.connection.writeText(head + (x.sendsBody ? x.protocol.bodyEnd(x) : '')))
  } else if (body.path === '') sent(x, writePieces(x, body.bytes(), head, x.protocol.bodyEnd(x)))
  else {
    link.connection.writeText(head)
    sendFile(x)
  }
}

/** The connection takes more. */
export function continueSending(x: Exchange): void {
  if (x.state === OVER) return
  if (x.streamed !== null) x.streamed.resume(x)
  else if (x.protocol.writeBody !== undefined) sendControlled(x, '')
  else sendFile(x)
}

/** Under the protocol's flow control, which may stop it anywhere. */
function sendControlled(x: Exchange, head: string): void {
  const link = x.link!
  const { body } = x.r
  const length = x.ownBody !== null ? x.ownBody.length : x.sendsBody && body !== null ? body.length : 0
  let first = head
  for (;;) {
    const piece = pieceAt(x, length)
    if (piece === null) {
      x.finalize(500)
      return
    }
    const taken = x.protocol.writeBody!(x, first, piece, x.bodyAt + piece.length === length)
    first = ''
    x.bodyAt += taken
    if (x.bodyAt === length) {
      sent(x, link.connection.pending === 0)
      return
    }
    if (taken < piece.length || link.connection.pending > 0) {
      link.watch(x.settings.sendTimeout)
      return
    }
  }
}

/** What comes next of a body of that length; null: its file cannot be read. */
function pieceAt(x: Exchange, length: number): Buffer | null {
  const { body } = x.r
  if (length === 0) return EMPTY
  if (x.ownBody !== null) return x.ownBody.subarray(x.bodyAt)
  if (body!.path === '') return body!.bytes().subarray(x.bodyAt)
  const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, length - x.bodyAt))
  const size = readPiece(x, piece)
  return size === 0 ? null : piece.subarray(0, size)
}

/** The body's next bytes from its file; 0, which is told, where there are none. */
function readPiece(x: Exchange, piece: Buffer): number {
  const { path } = x.r.body!
  try {
    const size = x.r.body!.read(piece, x.bodyAt)
    if (size === 0) x.r.log(CRIT, `request body file "${path}" was truncated at ${x.bodyAt}`)
    return size
  } catch (error) {
    x.r.log(CRIT, `request body file "${path}" could not be read: ${failureText(error as NodeJS.ErrnoException)}`)
    return 0
  }
}

/** All of the request has been handed over; `taken`: the kernel has it. */
export function sent(x: Exchange, taken: boolean): void {
  x.bodySent = true
  x.link!.watch(taken ? x.settings.readTimeout : Math.max(x.settings.sendTimeout, x.settings.readTimeout))
}

/** Body bytes in pieces of the size the protocol allows, between `head` and `end`; does the connection take more? */
export function writePieces(x: Exchange, bytes: Buffer, head: string, end: string): boolean {
  const { protocol } = x
  const { connection } = x.link!
  const { length } = bytes
  if (length === 0) return head + end === '' || connection.writeText(head + end)
  let taken = true
  for (let at = 0; at < length; at += protocol.pieceMax) {
    const piece = length <= protocol.pieceMax ? bytes : bytes.subarray(at, at + protocol.pieceMax)
    const before = protocol.beforePiece(x, piece.length)
    const after = protocol.afterPiece(x, piece.length)
    const last = at + protocol.pieceMax >= length
    taken = connection.writeAll(at === 0 ? head + before : before, piece, last ? after + end : after, false)
  }
  return taken
}

function tail(x: Exchange, length: number): string {
  return x.protocol.afterPiece(x, length) + x.protocol.bodyEnd(x)
}

/** A body that waits in a temporary file goes out in pieces, each when the one before it has left. */
function sendFile(x: Exchange): void {
  const body = x.r.body!
  const link = x.link!
  for (;;) {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, x.protocol.pieceMax, body.length - x.bodyAt))
    const size = readPiece(x, piece)
    if (size === 0) {
      x.finalize(500)
      return
    }
    x.bodyAt += size
    const last = x.bodyAt >= body.length
    const after = last ? tail(x, size) : x.protocol.afterPiece(x, size)
    const taken = link.connection.writeAll(x.protocol.beforePiece(x, size), piece.subarray(0, size), after, false)
    if (last) {
      sent(x, taken)
      return
    }
    if (!taken) {
      link.watch(x.settings.sendTimeout)
      return
    }
  }
}
