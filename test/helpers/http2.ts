// An HTTP/2 client for tests that mind every frame: it sends the frames it is told and shows those that come back. Its header
// blocks are literals, so that what is wrong with one is wrong on purpose.

import type net from 'node:net'
import { FieldList, HpackDecoder } from '../../src/codec/h2/hpack-decoder.ts'
import { within } from './eventually.ts'
import { connectTo } from './ports.ts'
import { atEnd, type Scope } from './scope.ts'

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export const TYPES = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
] as const

export interface Frame {
  readonly type: (typeof TYPES)[number]
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
  /** Of HEADERS. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Of RST_STREAM and GOAWAY. */
  readonly code: number
}

/** A response, as far as it has come. */
export interface Http2Answer {
  readonly status: number
  readonly fields: ReadonlyMap<string, string>
  readonly body: string
  readonly trailers: ReadonlyMap<string, string>
  readonly interim: readonly (readonly (readonly [string, string])[])[]
  /** What it was reset with, null if it was not. */
  readonly reset: number | null
  readonly ended: boolean
}

export function frame(type: number, flags: number, stream: number, payload: Buffer | string | number[] = ''): Buffer {
  const body = Buffer.isBuffer(payload)
    ? payload
    : typeof payload === 'string'
      ? Buffer.from(payload, 'latin1')
      : Buffer.from(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => bytes.writeUInt32BE(value >>> 0, i * 4))
  return bytes
}

/** Numbers and values in turn. */
export function settings(...pairs: number[]): Buffer {
  const bytes = Buffer.alloc(pairs.length * 3)
  for (let i = 0; i < pairs.length; i += 2) {
    bytes.writeUInt16BE(pairs[i]!, i * 3)
    bytes.writeUInt32BE(pairs[i + 1]!, i * 3 + 2)
  }
  return frame(4, 0, 0, bytes)
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(8, 0, stream, uint32(increment))
}

export type Fields = readonly (readonly [name: string, value: string])[]

/** Literals that are not indexed. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]))
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

export function get(path = '/', more: Fields = []): Fields {
  return [[':method', 'GET'], [':scheme', 'http'], [':path', path], [':authority', 'localhost'], ...more]
}

export function post(path = '/', more: Fields = []): Fields {
  return [[':method', 'POST'], [':scheme', 'http'], [':path', path], [':authority', 'localhost'], ...more]
}

export const END_STREAM = 1
export const END_HEADERS = 4

export function headers(stream: number, fields: Fields, flags = END_STREAM | END_HEADERS): Buffer {
  return frame(1, flags, stream, block(fields))
}

export class Http2Client {
  readonly socket: net.Socket
  /** All frames so far. */
  readonly frames: Frame[] = []
  ended = false
  private readonly decoder = new HpackDecoder(4096)
  private received: Buffer = Buffer.alloc(0)
  private wake: (() => void) | null = null

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes])
      this.take()
      this.wake?.()
    })
    for (const event of ['end', 'close', 'error'])
      socket.on(event, () => {
        this.ended = true
        this.wake?.()
      })
  }

  /** Strings are sent as latin1. */
  send(...frames: (Buffer | string)[]): void {
    if (this.ended) return
    this.socket.write(
      Buffer.concat(frames.map(bytes => (typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes))),
    )
  }

  /** Waits until `until` answers something. */
  async until<T>(until: () => T | null | undefined | false, what: string): Promise<T> {
    const seen = (): string => this.frames.slice(-20).map(frameText).join(' ')
    for (;;) {
      const found = until()
      if (found !== null && found !== undefined && found !== false) return found
      if (this.ended) throw new Error(`the connection ended before ${what}: ${seen()}`)
      const news = new Promise<void>(resolve => {
        this.wake = resolve
      })
      await within(news, 60_000, () => `${what} did not come: ${seen()}`)
    }
  }

  /** Waits for the end of the connection. */
  async closed(): Promise<void> {
    if (!this.ended)
      await this.until(() => this.ended || null, 'the end').catch((error: Error) => {
        if (!this.ended) throw error
      })
  }

  frame(type: Frame['type'], from = 0): Promise<Frame> {
    return this.until(() => this.frames.slice(from).find(frame => frame.type === type), `a ${type} frame`)
  }

  /** The response on a stream, when it is complete or reset. */
  response(stream: number): Promise<Http2Answer> {
    return this.until(() => {
      const answer = this.answer(stream)
      return answer.ended || answer.reset !== null ? answer : null
    }, `a response on stream ${stream}`)
  }

  answer(stream: number): Http2Answer {
    const own = this.frames.filter(frame => frame.stream === stream)
    const heads = own.filter(frame => frame.type === 'HEADERS')
    const isInterim = (frame: Frame): boolean => frame.fields[0]?.[1].startsWith('1') === true
    const [final, trailers] = heads.filter(head => !isInterim(head))
    return {
      status: Number(final?.fields[0]?.[1] ?? 0),
      fields: new Map(final?.fields ?? []),
      body: Buffer.concat(own.filter(frame => frame.type === 'DATA').map(frame => frame.payload)).toString('latin1'),
      trailers: new Map(trailers?.fields ?? []),
      interim: heads.filter(isInterim).map(head => head.fields),
      reset: own.find(frame => frame.type === 'RST_STREAM')?.code ?? null,
      ended: own.some(frame => (frame.type === 'DATA' || frame.type === 'HEADERS') && (frame.flags & 1) !== 0),
    }
  }

  /** GOAWAY's code, when the server has ended the connection as well. */
  async goodbye(): Promise<number> {
    const { code } = await this.frame('GOAWAY')
    await this.closed()
    return code
  }

  private take(): void {
    for (;;) {
      const bytes = this.received
      if (bytes.length < 9) return
      const length = bytes.readUIntBE(0, 3)
      if (bytes.length < 9 + length) return
      this.received = bytes.subarray(9 + length)
      const type = TYPES[bytes[3]!]!
      const payload = bytes.subarray(9, 9 + length)
      this.frames.push({
        type,
        flags: bytes[4]!,
        stream: bytes.readUInt32BE(5),
        payload,
        fields: type === 'HEADERS' ? this.fieldsOf(payload) : [],
        code: type === 'RST_STREAM' ? payload.readUInt32BE(0) : type === 'GOAWAY' ? payload.readUInt32BE(4) : -1,
      })
    }
  }

  private fieldsOf(payload: Buffer): Fields {
    const list = new FieldList()
    if (!this.decoder.decode(payload, 0, payload.length, list)) throw new Error('the server sent a broken header block')
    return Array.from({ length: list.count }, (_, i) => [list.names[i]!, list.values[i]!] as const)
  }
}

function frameText(frame: Frame): string {
  return `${frame.type}/${frame.stream}${frame.code < 0 ? '' : `(${frame.code})`}`
}

/** Connects, and disconnects when the test ends. */
export async function connectHttp2(t: Scope, port: number): Promise<Http2Client> {
  const socket = connectTo(port, { allowHalfOpen: true })
  socket.setNoDelay(true)
  atEnd(t, () => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return new Http2Client(socket)
}

/** As connectHttp2(), and says hello: preface, settings (numbers and values in turn), and the acknowledgement of the server's. */
export async function http2(t: Scope, port: number, ...pairs: number[]): Promise<Http2Client> {
  const client = await connectHttp2(t, port)
  client.send(PREFACE, settings(...pairs), frame(4, 1, 0))
  await client.frame('SETTINGS')
  return client
}
