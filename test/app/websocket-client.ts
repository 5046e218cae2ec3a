// A websocket client for tests that mind every byte, its server, and what the server is to say: as the Autobahn suite would.

import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { constants, inflateRawSync } from 'node:zlib'
import { raw, type RawClient } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import { serve, type Server } from '../helpers/serve.ts'

const apps = fileURLToPath(new URL('./apps', import.meta.url))
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

const cleanups: (() => unknown)[] = []
const scope: Scope = { after: run => void cleanups.push(run) }
let server: Server

before(async () => {
  server = await serve(scope, {
    conf: `http { app things { directory ${apps}; module asgi_things:application; kind asgi; workers 1;
        environment PYTHONDONTWRITEBYTECODE=1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass things; } } }`,
  })
})
after(async () => {
  for (const run of cleanups.toReversed()) await run()
})

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
  const mask = [0x37, 0xfa, 0x21, 0x3d]
  return Buffer.concat([header, Buffer.from(mask), bytes.map((byte, i) => byte ^ mask[i & 3]!)])
}

export function closing(code: number | null, reason: string | Buffer = ''): Buffer {
  if (code === null) return frame(CLOSE)
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return frame(CLOSE, Buffer.concat([head, Buffer.from(reason as string)]))
}

/** What the server says: messages as [opcode, payload], at the end the close code (null: none given), 'cut' without one. */
export type Said = readonly [number, string | Buffer] | readonly ['close', number | null] | 'cut'

export interface Heard {
  readonly said: Said[]
  readonly head: string
}

async function open(fields = ''): Promise<{ client: RawClient; head: string }> {
  const client = await raw(scope, server.port)
  await client.send(
    'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${fields}\r\n`,
  )
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 101 /)
  return { client, head }
}

/** Sends all, lets the server finish and hang up, and reads what it said. */
export async function converse(pieces: readonly Buffer[], fields = '', pauseMs = 0): Promise<Heard> {
  const { client, head } = await open(fields)
  for (const piece of pieces) {
    if (client.ended) break
    // The server may hang up in the middle of what it does not want.
    await client.send(piece).catch(() => {})
    if (pauseMs > 0) await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
  const bytes = Buffer.from(await client.closed(20_000), 'latin1')
  assert.equal(client.error, null, 'the connection was reset')
  client.destroy()
  return { said: read(bytes), head }
}

function read(bytes: Buffer): Said[] {
  const said: Said[] = []
  for (let at = 0; at < bytes.length;) {
    const opcode = bytes[at]! & 15
    assert.equal(bytes[at]! & 0x80, 0x80, 'the server does not send in parts')
    assert.equal(bytes[at + 1]! & 0x80, 0, 'a server does not mask')
    const short = bytes[at + 1]! & 0x7f
    const size =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2)
    const payload = bytes.subarray(start, start + size)
    if (opcode === CLOSE) {
      assert.equal(start + size, bytes.length, 'nothing follows a close frame')
      said.push(['close', size === 0 ? null : payload.readUInt16BE(0)])
    } else if ((bytes[at]! & 0x40) !== 0) {
      const tail = Buffer.from([0, 0, 0xff, 0xff])
      said.push([opcode, inflateRawSync(Buffer.concat([payload, tail]), { finishFlush: constants.Z_SYNC_FLUSH })])
    } else said.push([opcode, payload])
    at = start + size
  }
  if (said.at(-1)?.[0] !== 'close') said.push('cut')
  return said
}

export const plain = (said: readonly Said[]): unknown[] =>
  said.map(one =>
    one === 'cut' || one[0] === 'close' ? one : [one[0], Buffer.from(one[1] as string).toString('base64')],
  )

export const bye = closing(1000)
export const good: Said = ['close', 1000]
export const broken: Said = ['close', 1002]
export const nonsense: Said = ['close', 1007]

/** What the server has said when so many messages have come back; then it is closed. */
export async function echoes(send: readonly Buffer[], count: number, bytes: number, fields = ''): Promise<Heard> {
  const { client, head } = await open(fields)
  for (const piece of send) await client.send(piece)
  // The sizes are known where nothing is compressed; else the close comes behind what is answered anyway.
  if (fields === '') while (client.received.length < bytes) await new Promise(resolve => setTimeout(resolve, 10))
  await client.send(bye)
  const said = read(Buffer.from(await client.closed(20_000), 'latin1'))
  client.destroy()
  assert.equal(said.length, count + 1)
  return { said, head }
}
