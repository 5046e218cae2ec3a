// A websocket to an application of kind asgi: a Call like any other until the application accepts, then both ends of a
// tunnel. Frames, pings and the close handshake are done here; whole messages cross the bridge.
//
//   handshake ─▶ dispatch ─▶ HEAD 101 ─▶ OPEN ─┬─ client's close frame: answered, CLOSE to the worker ─┐
//                     └─ any other HEAD:       ├─ application's CLOSE: sent, the client's is awaited ──┼─▶ FIN, closed
//                        an ordinary answer    └─ the client is lost: CLOSE 1006 to the worker ────────┘
//
// A client's close is answered when the application has come to it, or half a second later: what it answers to the messages
// before is not lost. So it is for a client that ends its half of the connection without a close frame.

import { type Carrier } from '../../app/dispatch/call.ts'
import { encodeClose, encodeMessageHeader, encodeRequest, MESSAGE_COST, WEBSOCKET } from '../../codec/frames.ts'
import * as ws from '../../codec/ws.ts'
import { acceptOffer, type Deflate, deflateMessage } from '../../codec/ws-deflate.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { INFO } from '../../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import { AppExchange } from './exchange.ts'
import { scopeOf } from './scope.ts'
import { EMPTY, respondSpecial, sendHead } from '../output.ts'
import type { HttpRequest } from '../request.ts'

/** The largest message of a client's. */
const MESSAGE_MAX = 16 * 1024 * 1024
/** A silent client is asked whether it is still there, and has as long again to say so. */
const PING_MS = 20_000
/** Messages that compression is worth its time for; larger ones would hold up other clients, and pass as they come. */
const DEFLATE_MIN = 256
const DEFLATE_MAX = 65536
/** For the client's part of the close handshake. */
const CLOSE_MS = 5000

const HANDSHAKE = 0
const OPEN = 1
/** The client has closed, or broken the protocol: what the application still has to say to what came before goes out first (5.5.1). */
const ANSWERING = 2
/** A close frame has been sent; the client's is awaited. */
const CLOSING = 3
const CLOSED = 4
/** For the application to come to the client's close. */
const ANSWER_MS = 500

/** Is it a handshake of RFC 6455, whatever it lacks? */
export function asksForWebSocket(r: HttpRequest): boolean {
  return r.head.upgrade && r.header('upgrade')!.toLowerCase() === 'websocket'
}

/** Answers a handshake that cannot be one (4.2.1); null when it is good. */
export function refuseHandshake(r: HttpRequest): number | null {
  const key = r.header('sec-websocket-key')
  if (r.header('sec-websocket-version') !== '13' && key !== null) {
    r.addHeader('Sec-WebSocket-Version', '13')
    return respondSpecial(r, 426)
  }
  return r.method !== 'GET' || r.version !== 11 || key === null || !ws.isKey(key) ? respondSpecial(r, 400) : null
}

export class WebSocketExchange extends AppExchange implements ws.MessageSink {
  private state = HANDSHAKE
  private client: Connection | null = null
  private readonly reader = new ws.MessageReader(this, MESSAGE_MAX)
  private readonly timer = new Timer<WebSocketExchange>(this, timedOut)
  /** The client has been asked, and has not said anything since. */
  private asked = false
  /** Bytes on their way to the client, when that was looked at last. */
  private unsent = 0
  /** Bytes of the application's message that are still to come. */
  private left = 0
  /** What was agreed on about compression, null for none. */
  private deflate: Deflate | null = null
  /** The application's message, while it is collected to be compressed. */
  private collected: Buffer | null = null
  private isText = false
  /** What the client closed with, or what it did wrong. */
  private code = ws.NO_STATUS
  private dismissed = false

  override send(link: Carrier): void {
    const { headers, scriptName } = this.pass
    link.write(encodeRequest(link.stream, scopeOf(this.r, headers, scriptName), EMPTY, WEBSOCKET))
  }

  /** More credit, or room in the socket: the client may go on. */
  override onWritable(link: Carrier): void {
    if (link.credit > 0) this.client?.resume()
  }

  // ── from the application ─────────────────────────────────────────────────────────────────────────────────────────

  override onHead(fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    if (this.r.done) return
    if (fields[0] === '101' && !end) this.accept(fields)
    else super.onHead(fields, body, bodySize, end)
  }

  private accept(fields: string[]): void {
    const { r } = this
    this.noteHead()
    r.status = 101
    r.contentLength = 0
    r.addHeader('Upgrade', 'websocket')
    r.addHeader('Sec-WebSocket-Accept', ws.acceptKey(r.header('sec-websocket-key')!))
    for (let i = 1; i + 1 < fields.length; i += 2) r.addHeader(fields[i]!, fields[i + 1]!)
    const offers = this.pass.webSocketCompression ? r.header('sec-websocket-extensions') : null
    this.deflate = offers === null ? null : acceptOffer(offers)
    if (this.deflate !== null) {
      r.addHeader('Sec-WebSocket-Extensions', this.deflate.answer)
      this.reader.deflates = true
    }
    sendHead(r)
    this.state = OPEN
    const { connection, received } = r.stream.upgrade(r, new ClientEnd(this))
    this.client = connection
    connection.resume()
    timers.arm(this.timer, PING_MS)
    if (received.length > 0) this.onClientBytes(received)
    if (this.dismissed) this.dismiss()
  }

  override onMessage(isText: boolean, length: number): void {
    if (!this.isOpen) return
    this.left = length
    if (this.deflate !== null && length >= DEFLATE_MIN && length <= DEFLATE_MAX) {
      this.collected = Buffer.allocUnsafe(length)
      this.isText = isText
    } else this.toClient(ws.frameHeader(isText ? ws.TEXT : ws.BINARY, length))
  }

  override onClose(code: number, reason: Buffer): void {
    if (this.state === ANSWERING) this.answerClose()
    else this.closeToClient(code, reason)
  }

  /** May the application's messages go out? */
  private get isOpen(): boolean {
    return this.state === OPEN || this.state === ANSWERING
  }

  override onFailure(why: number, pid: number): void {
    if (this.state === HANDSHAKE) super.onFailure(why, pid)
    else if (this.state === ANSWERING) this.answerClose()
    else if (this.left > 0 && this.collected === null) this.cut()
    // The worker is gone, and there are others: the client may come again (RFC 6455, 7.4.1, and the registry's 1012).
    else this.closeToClient(ws.RESTARTING, EMPTY)
  }

  /** A piece of a message, or the end: the application has returned. */
  override onData(bytes: Buffer, end: boolean): void {
    if (this.state === HANDSHAKE) super.onData(bytes, end)
    else if (end && this.state === ANSWERING) this.answerClose()
    else if (end) this.closeToClient(ws.NORMAL, EMPTY)
    else if (this.isOpen && bytes.length > 0) {
      if (this.collected !== null) {
        this.collect(bytes, this.collected)
        return
      }
      this.left -= bytes.length
      // What the bridge brought is valid during the call only.
      if (!this.client!.writeVolatile(bytes)) this.link?.pause()
      this.r.bodyBytesSent += bytes.length
    }
  }

  private collect(bytes: Buffer, message: Buffer): void {
    bytes.copy(message, message.length - this.left)
    this.left -= bytes.length
    if (this.left > 0) return
    this.collected = null
    const compressed = deflateMessage(message, this.deflate!.windowBits)
    const smaller = compressed.length < message.length
    const payload = smaller ? compressed : message
    this.toClient(ws.frameHeader(this.isText ? ws.TEXT : ws.BINARY, payload.length, smaller))
    this.toClient(payload)
    this.r.bodyBytesSent += payload.length
  }

  private toClient(bytes: Buffer): void {
    if (!this.client!.write(bytes)) this.link?.pause()
  }

  // ── from the client ──────────────────────────────────────────────────────────────────────────────────────────────

  onClientBytes(chunk: Buffer): void {
    this.asked = false
    if (this.state === CLOSED) return
    this.reader.push(chunk)
    if (this.reader.isBusy) this.client!.pause()
    this.noticeError()
  }

  onWsInflated(): void {
    this.noticeError()
    if (!this.reader.isBusy) this.onClientReady()
  }

  /** What came before the mistake is answered still. */
  private noticeError(): void {
    if (this.reader.error === 0 || this.state !== OPEN) return
    this.r.log(INFO, `client broke the websocket protocol: ${this.reader.problem}`)
    this.beginClose(this.reader.error, EMPTY)
  }

  onWsMessage(isText: boolean, bytes: Buffer): void {
    const { link } = this
    if (this.state !== OPEN || link === null) return
    link.write(encodeMessageHeader(link.stream, isText, bytes.length))
    link.credit -= bytes.length + MESSAGE_COST
    const ready = link.write(bytes)
    if (!ready || link.credit <= 0) this.client!.pause()
  }

  onWsPing(payload: Buffer): void {
    // A client that does not take the answers is not read any further.
    if (this.state === OPEN && !this.client!.write(ws.controlFrame(ws.PONG, payload))) this.client!.pause()
  }

  onWsPong(_payload: Buffer): void {}

  onWsClose(code: number, reason: Buffer): void {
    if (this.state === CLOSING) {
      this.hangUp()
      return
    }
    this.beginClose(code, reason)
  }

  private beginClose(code: number, reason: Buffer): void {
    this.tellWorker(code, reason)
    this.code = code
    this.state = ANSWERING
    if (this.link === null) this.answerClose()
    else timers.arm(this.timer, ANSWER_MS)
  }

  private answerClose(): void {
    // In the middle of a message nothing else can be said.
    if (this.left > 0 && this.collected === null) {
      this.cut()
      return
    }
    if (this.code !== ws.LOST) this.client!.write(ws.closeFrame(this.code, EMPTY))
    this.hangUp()
  }

  onClientReady(): void {
    this.link?.resume()
    if (this.link === null || this.link.credit > 0) this.client?.resume()
  }

  /** The client says no more. When it has not closed the websocket it may still listen, as for uvicorn. */
  clientEnded(): void {
    if (this.state === OPEN) this.beginClose(ws.LOST, EMPTY)
    else if (this.state !== ANSWERING) this.lost()
  }

  /** The client's connection has ended without a close frame. */
  lost(): void {
    this.tellWorker(ws.LOST, EMPTY)
    this.cut()
  }

  private tellWorker(code: number, reason: Buffer): void {
    if (this.state !== OPEN || this.link === null) return
    this.link.write(encodeClose(this.link.stream, code, reason))
  }

  /** Source: the client may come again, to whoever takes our place. */
  dismiss(): void {
    this.dismissed = true
    if (this.state !== OPEN) return
    this.tellWorker(ws.RESTARTING, EMPTY)
    if (this.left > 0 && this.collected === null) this.cut()
    else this.closeToClient(ws.RESTARTING, EMPTY)
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private closeToClient(code: number, reason: Buffer): void {
    if (this.state !== OPEN) return
    this.state = CLOSING
    const { client } = this
    client!.write(ws.closeFrame(ws.isCloseCode(code) || code === ws.NO_STATUS ? code : ws.NORMAL, reason))
    client!.resume()
    timers.arm(this.timer, CLOSE_MS)
  }

  /** Both have said that it is over. The server closes first (7.1.1). */
  private hangUp(): void {
    this.state = CLOSING
    this.client!.shutdown()
    this.client!.resume()
    timers.arm(this.timer, CLOSE_MS)
  }

  private cut(): void {
    if (this.state === CLOSED) return
    this.state = CLOSED
    timers.release(this.timer)
    this.reader.stop()
    this.collected = null
    this.link?.abandon(this)
    const { r } = this
    if (!r.done) r.stream.finish(r)
  }

  /** For Timer. */
  onTimeout(): void {
    if (this.state === ANSWERING) {
      this.link?.abandon(this)
      this.answerClose()
      return
    }
    const excused = this.isExcused
    if (this.state !== OPEN || (this.asked && !excused)) {
      if (this.state === OPEN) this.r.log(INFO, 'client does not answer pings')
      this.lost()
      return
    }
    // Another ping would only wait behind what the client has not taken yet.
    if (!excused) this.client!.write(ws.controlFrame(ws.PING, EMPTY))
    this.asked = !excused
    timers.arm(this.timer, PING_MS)
  }

  /** Nothing follows from the silence of a client that still takes what came before the ping, or is not being read because the
   *  application takes no more. */
  private get isExcused(): boolean {
    const client = this.client!
    const before = this.unsent
    this.unsent = client.queued
    return client.pending > 0 ? this.unsent !== before : !client.reading
  }
}

/** The client's events, under their own names. */
class ClientEnd implements ConnectionHandler {
  private readonly exchange: WebSocketExchange
  constructor(exchange: WebSocketExchange) {
    this.exchange = exchange
  }
  onData(chunk: Buffer): void {
    this.exchange.onClientBytes(chunk)
  }
  onEnd(): void {
    this.exchange.clientEnded()
  }
  onDrain(): void {
    this.exchange.onClientReady()
  }
  onClose(): void {
    this.exchange.lost()
  }
}

function timedOut(exchange: WebSocketExchange): void {
  exchange.onTimeout()
}
