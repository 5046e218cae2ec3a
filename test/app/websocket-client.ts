// A websocket client for tests that mind every byte: its server, which echoes, what it sends, and what the server is to say. It
// knows of the protocol only what it needs to, so that it can break it.

import assert from 'node:assert/strict'
import type net from 'node:net'
import { before } from 'node:test'
import { constants, inflateRawSync } from 'node:zlib'
import { within } from '../helpers/eventually.ts'
import { connectTo } from '../helpers/ports.ts'
import { fileScope } from '../helpers/scope.ts'
import type { Server } from '../helpers/serve.ts'
import { serveThings } from './things.ts'

export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

/** Only reached when a test fails. */
const PATIENCE_MS = 60_000

const scope = fileScope()
let server: Server
before(async () => {
  server = await serveThings(scope, { module: 'asgi_things:application', app: 'kind asgi; workers 1;' })
})

// ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface Shape {
  readonly fin?: boolean
  readonly rsv?: number
  readonly masked?: boolean
  /** The length the header claims. */
  readonly length?: number
}

export function frame(opcode: number, payload: string | Buffer = '', shape: Shape = {}): Buffer {
  const { fin = true, rsv = 0, masked = true } = shape
  const bytes = Buffer.from(payload as string)
  const length = shape.length ?? bytes.length
  const header = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10)
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  header[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length < 65536 ? 126 : 127)
  if (header.length === 4) header.writeUInt16BE(length, 2)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([header, bytes])
  return Buffer.concat([header, MASK, masking(bytes)])
}

const MASK = Buffer.from('37fa213d', 'hex')

/** More of a frame's payload, of which `sent` bytes have gone. */
export function masking(bytes: Buffer, sent = 0): Buffer {
  const masked = Buffer.allocUnsafe(bytes.length)
  for (let i = 0; i < bytes.length; i++) masked[i] = bytes[i]! ^ MASK[(sent + i) & 3]!
  return masked
}

/** A message in frames of so many bytes; the last one is empty where `trailing` says so. */
export function inFrames(
  opcode: number,
  message: Buffer,
  size: number,
  shape: Shape & { trailing?: boolean } = {},
): Buffer {
  const frames: Buffer[] = []
  for (let at = 0; at < message.length || at === 0; at += size) {
    const last = at + size >= message.length
    const first = frames.length === 0
    frames.push(
      frame(first ? opcode : 0, message.subarray(at, at + size), {
        fin: last && shape.trailing !== true,
        rsv: first ? (shape.rsv ?? 0) : 0,
      }),
    )
  }
  if (shape.trailing === true) frames.push(frame(0))
  return Buffer.concat(frames)
}

/** Bytes to be sent a few at a time. */
export function chopped(bytes: Buffer, size = 1): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

export function closing(code: number | null, reason: string | Buffer = ''): Buffer {
  if (code === null) return frame(CLOSE)
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return frame(CLOSE, Buffer.concat([head, Buffer.from(reason as string)]))
}

// ── what is heard ────────────────────────────────────────────────────────────────────────────────────────────────────

/** A frame as [opcode, payload]; at the end the close code (null: none given), 'cut' without one. */
export type Said = readonly [number, string | Buffer] | readonly ['close', number | null] | 'cut'

export const bye = closing(1000)
export const good: Said = ['close', 1000]
export const broken: Said = ['close', 1002]
export const nonsense: Said = ['close', 1007]

/** What is compared: payloads in a form that shows them when they differ. */
export const plain = (said: readonly Said[]): unknown[] =>
  said.map(one =>
    one === 'cut' || one[0] === 'close' ? one : [one[0], Buffer.from(one[1] as string).toString('latin1')],
  )

/** An open websocket. */
export class Talk {
  /** The server's answer to the handshake. */
  head = ''
  readonly #socket: net.Socket
  #chunks: Buffer[] = []
  #size = 0
  #over = false
  #error: Error | null = null
  #wake: (() => void) | null = null

  constructor(socket: net.Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => {
      this.#chunks.push(bytes)
      this.#size += bytes.length
      this.#wake?.()
    })
    socket.on('error', error => {
      this.#error ??= error
    })
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#over = true
        this.#wake?.()
      })
    }
  }

  async shakeHands(fields: string): Promise<void> {
    await this.send(
      'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${fields}\r\n`,
    )
    while (!this.head.endsWith('\r\n\r\n'))
      this.head += (await this.#take(1))?.toString('latin1') ?? assert.fail(this.head)
    assert.match(this.head, /^HTTP\/1\.1 101 /)
  }

  /** Each piece in a write of its own. The server may hang up in the middle of what it does not want. */
  async send(...pieces: readonly (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#over) return
      await new Promise<void>(resolve => {
        this.#socket.write(piece, () => resolve())
      })
    }
  }

  /** The next frame. */
  async next(): Promise<Said> {
    const start = await this.#take(2)
    if (start === null) return 'cut'
    const first = start[0]!
    const opcode = first & 15
    const short = start[1]! & 0x7f
    assert.equal(first & 0xb0, 0x80, 'the server sends no parts, and no bits nobody asked for')
    assert.equal(start[1]! & 0x80, 0, 'a server does not mask')
    const payload = await this.#take(await this.#length(short))
    if (payload === null) return 'cut'
    if (opcode === CLOSE) return ['close', payload.length === 0 ? null : payload.readUInt16BE(0)]
    return [opcode, (first & 0x40) === 0 ? payload : inflated(payload)]
  }

  async #length(short: number): Promise<number> {
    if (short < 126) return short
    const long = await this.#take(short === 126 ? 2 : 8)
    return long === null ? 0 : long.length === 2 ? long.readUInt16BE() : Number(long.readBigUInt64BE())
  }

  /** What else it says until it has hung up, which it does first, and cleanly (RFC 6455, 7.1.1). */
  async rest(): Promise<Said[]> {
    const said: Said[] = []
    do said.push(await this.next())
    while (said.at(-1)![0] !== 'close' && said.at(-1) !== 'cut')
    while (!this.#over) await this.#news('the connection stays open')
    assert.equal(this.#size, 0, 'nothing follows a close frame')
    assert.equal(this.#error, null, 'the connection was reset')
    this.#socket.destroy()
    return said
  }

  /** So many bytes; null: the server has hung up before. */
  async #take(size: number): Promise<Buffer | null> {
    while (this.#size < size) {
      if (this.#over) return null
      await this.#news(`${size} bytes did not come, only ${this.#size}`)
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    this.#chunks = all.length === size ? [] : [all.subarray(size)]
    this.#size -= size
    return all.subarray(0, size)
  }

  #news(missing: string): Promise<void> {
    const news = new Promise<void>(resolve => {
      this.#wake = resolve
    })
    return within(news, PATIENCE_MS, () => missing)
  }
}

function inflated(payload: Buffer): Buffer {
  const tail = Buffer.from([0, 0, 0xff, 0xff])
  return inflateRawSync(Buffer.concat([payload, tail]), { finishFlush: constants.Z_SYNC_FLUSH })
}

/** @param fields further ones of the handshake */
export async function talk(fields = ''): Promise<Talk> {
  const socket = connectTo(server.port, { allowHalfOpen: true })
  scope.after(async () => void socket.destroy())
  const it = new Talk(socket)
  await it.shakeHands(fields)
  return it
}

// ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is sent, each piece in a write of its own, and the frames that must come back before the next round. */
export type Round = readonly [send: readonly Buffer[], expect: readonly Said[]]

/** Goes through the rounds; the last one's answer ends with the server's close. */
export async function play(rounds: readonly Round[], fields = ''): Promise<void> {
  const it = await talk(fields)
  for (const [send, expect] of rounds) {
    await it.send(...send)
    const said: Said[] = []
    if (expect.at(-1)?.[0] === 'close') said.push(...(await it.rest()))
    else while (said.length < expect.length) said.push(await it.next())
    assert.deepEqual(plain(said), plain(expect))
  }
}
