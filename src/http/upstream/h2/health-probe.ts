// A health check over HTTP/2: a GET as over HTTP/1.1, or the call that gRPC has for it (grpc.health.v1.Health/Check). Each check
// has a connection of its own.

import {
  ACK,
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  PADDED,
  PING,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WITH_PRIORITY,
} from '../../../codec/h2/constants.ts'
import { FrameReader } from '../../../codec/h2/frame-reader.ts'
import type { FrameSink } from '../../../codec/h2/frame-reader.ts'
import { FieldList, HpackDecoder } from '../../../codec/h2/hpack-decoder.ts'
import { BODY_MAX, Match } from '../health-match.ts'
import type { Answer } from '../health-match.ts'
import type { ProbeSettings } from '../health-probe.ts'
import type { Passed } from '../passed.ts'
import { SingleProbe } from '../single-probe.ts'
import { dataHeader, frameHead, ping, SETTINGS_ACK } from './frames.ts'
import { HeaderBlock } from './protocol.ts'
import { H2Response } from './response.ts'

const STREAM = 1
const HEAD_MAX = 32768

/** What is asked; the match says whether the answer will do. */
export interface Http2Question {
  readonly method: string
  readonly path: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** As latin1; '' for none. */
  readonly body: string
}

export function getQuestion(uri: string): Http2Question {
  return { method: 'GET', path: uri, fields: [], body: '' }
}

/** HealthCheckRequest { string service = 1 }, as a message of gRPC. */
export function grpcQuestion(service: string): Http2Question {
  const message = service === '' ? '' : `\x0a${String.fromCharCode(service.length)}${service}`
  return {
    method: 'POST',
    path: '/grpc.health.v1.Health/Check',
    fields: [
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ],
    body: `\0\0\0\0${String.fromCharCode(message.length)}${message}`,
  }
}

/** HealthCheckResponse { ServingStatus status = 1 }, SERVING being 1; or the status that a server without it answers. */
export function grpcMatch(accepted: number): Match {
  const says = ({ status, names, values, body }: Answer): string => {
    if (status !== 200) return `unexpected status ${status}`
    const code = values[names.lastIndexOf('grpc-status')] ?? ''
    if (code === '0') return body.slice(5) === '\x08\x01' ? '' : 'the service is not serving'
    return code !== '' && Number(code) === accepted ? '' : `unexpected gRPC status "${code}"`
  }
  return new Match([says], true)
}

export class Http2HealthProbe extends SingleProbe implements FrameSink {
  protected readonly request: string
  private frames = new FrameReader(this)
  private decoder = new HpackDecoder(0)
  private response = new H2Response()
  private trailers: FieldList | null = null
  /** Fragments of the header block at hand. */
  private block: Buffer[] = []
  private blockFlags = 0
  private body = ''

  constructor(settings: ProbeSettings, question: Http2Question, passed: Passed) {
    super(settings, passed)
    const { method, path, fields, body } = question
    const block = new HeaderBlock()
    block.begin()
    block.add(':method', method)
    block.add(':scheme', passed.tls === null ? 'http' : 'https')
    block.add(':path', path)
    block.add(':authority', passed.host)
    for (const [name, value] of [...fields, ...passed.fields]) block.add(name, value)
    const head = frameHead(block.end(), STREAM, body === '')
    this.request = body === '' ? head : `${head}${dataHeader(body.length, STREAM, true)}${body}`
  }

  protected begin(): void {
    this.frames = new FrameReader(this)
    this.decoder = new HpackDecoder(0)
    this.response = new H2Response()
    this.trailers = null
    this.block = []
    this.body = ''
  }

  private complete(): false {
    const { status, names, values } = this.response
    const { trailers, body } = this
    const all = trailers === null ? [] : trailers.names.slice(0, trailers.count)
    const texts = trailers === null ? [] : trailers.values.slice(0, trailers.count)
    return this.answer(
      this.settings.match.problemOf({ status, names: [...names, ...all], values: [...values, ...texts], body }),
    )
  }

  // ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    this.frames.feed(chunk, 0, chunk.length)
  }

  // ── its frames ───────────────────────────────────────────────────────────────────────────────────────────────────

  onFrameHeader(type: number): boolean {
    const within = this.block.length > 0
    return within === (type === CONTINUATION) || this.answer('unexpected frame')
  }

  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): boolean {
    switch (type) {
      case SETTINGS:
        if ((flags & ACK) === 0) this.link!.connection.writeText(SETTINGS_ACK)
        return true
      case PING:
        if ((flags & ACK) === 0 && end - start === 8) this.link!.connection.writeText(ping(bytes.subarray(start, end)))
        return true
      case HEADERS: {
        const padding = (flags & PADDED) === 0 ? -1 : bytes[start]!
        const from = start + (padding < 0 ? 0 : 1) + ((flags & WITH_PRIORITY) === 0 ? 0 : 5)
        const to = end - Math.max(padding, 0)
        if (stream !== STREAM || from > to) return this.answer('invalid headers frame')
        this.blockFlags = flags
        return this.fragment(bytes.subarray(from, to), flags)
      }
      case CONTINUATION:
        return this.fragment(bytes.subarray(start, end), flags)
      case RST_STREAM:
      case GOAWAY:
        return this.answer(`the server ended the ${type === GOAWAY ? 'connection' : 'stream'}`)
      case PUSH_PROMISE:
        return this.answer('unexpected frame')
    }
    return true
  }

  private fragment(piece: Buffer, flags: number): boolean {
    // Further empty ones may come without end.
    if (piece.length > 0 || this.block.length === 0) this.block.push(Buffer.from(piece))
    if (this.block.reduce((sum, { length }) => sum + length, 0) > HEAD_MAX) return this.answer('too large headers')
    return (flags & END_HEADERS) === 0 || this.takeBlock()
  }

  private takeBlock(): boolean {
    const whole = Buffer.concat(this.block)
    this.block = []
    const list = new FieldList()
    list.sizeMax = HEAD_MAX
    if (!this.decoder.decode(whole, 0, whole.length, list) || list.overflow) return this.answer('invalid headers')
    const ends = (this.blockFlags & END_STREAM) !== 0
    if (this.response.status < 200) {
      this.response = new H2Response()
      const fault = this.response.take(list, ends)
      if (fault !== '') return this.answer(fault)
    } else this.trailers = list
    return !ends || this.complete()
  }

  onDataFrame(_flags: number, stream: number): boolean {
    return (stream === STREAM && this.response.status >= 200) || this.answer('unexpected frame')
  }

  onDataBytes(bytes: Buffer, start: number, end: number): boolean {
    const room = BODY_MAX - this.body.length
    if (room > 0) this.body += bytes.toString('latin1', start, Math.min(end, start + room))
    // No check wants to see more.
    return room > end - start || this.complete()
  }

  onDataFrameEnd(flags: number): boolean {
    return (flags & END_STREAM) === 0 || this.complete()
  }

  onTooLong(): void {
    this.answer('too long frame')
  }

  onBadPadding(): void {
    this.answer('too much padding')
  }
}
