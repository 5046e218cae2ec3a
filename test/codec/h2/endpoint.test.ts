import assert from 'node:assert/strict'
import test from 'node:test'
import { returnWriter } from '../../../src/codec/h2/byte-writer.ts'
import {
  CANCEL,
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  INITIAL_WINDOW_SIZE,
  PREFACE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from '../../../src/codec/h2/constants.ts'
import { Endpoint, type EndpointOwner, type EndpointSettings } from '../../../src/codec/h2/endpoint.ts'
import type { FieldList } from '../../../src/codec/h2/hpack-decoder.ts'
import { Stream } from '../../../src/codec/h2/stream.ts'
import { random } from './random.ts'

/** Notes all that happens. */
class Noting extends Stream {
  onProgress(): void {}
  seen: string[] = []
  body = ''
  room = 0

  onHeaders(fields: FieldList, ended: boolean): void {
    const lines = Array.from({ length: fields.count }, (_, i) => `${fields.names[i]}=${fields.values[i]}`)
    this.seen.push(`${ended ? 'last ' : ''}headers ${lines.join(' ')}`)
  }
  onData(bytes: Buffer, start: number, end: number): void {
    this.body += bytes.toString('latin1', start, end)
    if (this.receiveWindow < 30000) this.endpoint.grant(this, 30000)
  }
  onEnded(): void {
    this.seen.push('ended')
  }
  onReset(code: number): void {
    this.seen.push(`reset ${code}`)
  }
  onError(code: number): void {
    this.seen.push(`error ${code}`)
  }
  onRoom(): void {
    this.room++
  }
  onSent(): void {
    this.seen.push('sent')
  }
}

class Side implements EndpointOwner {
  readonly endpoint: Endpoint
  streams: Noting[] = []
  accepting = true
  error: number | null = null
  goaway = -1

  constructor(role: 'client' | 'server', settings: Partial<EndpointSettings> = {}) {
    this.endpoint = new Endpoint(this, {
      role,
      laxFrameMax: 0,
      overflows: false,
      announced: [],
      connectionWindow: 65535,
      fieldsMax: 65536,
      stringMax: 65536,
      tableMax: 4096,
      ...settings,
    })
    this.endpoint.start()
  }
  openStream(id: number): Stream | null {
    if (!this.accepting) return null
    const stream = new Noting(this.endpoint, id)
    this.streams.push(stream)
    return stream
  }
  outputWaits(): void {}
  onConnectionError(code: number): void {
    this.error = code
  }
  onGoaway(last: number): void {
    this.goaway = last
  }
  onSettings(): void {}
  onPong(): void {}
  onLostHead(): void {}
  onUnknownFrame(): void {}

  request(pairs: readonly string[], ends: boolean): Noting {
    const stream = this.endpoint.open((endpoint, id) => new Noting(endpoint, id))
    assert.ok(stream)
    this.endpoint.sendHeaders(stream, pairs, ends)
    return stream
  }
  body(stream: Stream, text: string, last: boolean): void {
    const bytes = Buffer.from(text, 'latin1')
    if (!this.endpoint.sender.trySend(stream, bytes, last)) this.endpoint.sender.queue(stream, bytes, last)
  }
  takeOutput(): Buffer {
    this.endpoint.sender.fill()
    const writer = this.endpoint.sender.take()
    if (writer === null) return Buffer.alloc(0)
    const bytes = Buffer.from(writer.bytes.subarray(0, writer.length))
    returnWriter(writer)
    return bytes
  }
}

/** Carries bytes both ways until both are silent. */
function talk(a: Side, b: Side, cut: (length: number) => number = length => length): void {
  for (let quiet = 0; quiet < 2;) {
    const bytes = a.takeOutput()
    quiet = bytes.length === 0 ? quiet + 1 : 0
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + cut(bytes.length))
      // A copy that is spoiled afterwards: nobody may keep what is valid during the call only.
      const chunk = Buffer.from(bytes.subarray(at, end))
      b.endpoint.feed(chunk, 0, chunk.length)
      chunk.fill(0xaa)
      at = end
    }
    ;[a, b] = [b, a]
  }
}

const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a']

function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

/** A server that has had a client's preface and settings. */
function greeted(settings: Partial<EndpointSettings> = {}): Side {
  const server = new Side('server', settings)
  give(server, PREFACE, frame(4, 0, 0))
  server.takeOutput()
  return server
}

function give(side: Side, ...frames: Buffer[]): void {
  const bytes = Buffer.concat(frames)
  side.endpoint.feed(bytes, 0, bytes.length)
}

for (const [how, cut] of [
  ['whole', (n: number) => n],
  ['byte by byte', () => 1],
  ['in sevens', () => 7],
] as const) {
  test(`endpoint: request and response, bodies and trailers cross both ways, ${how}`, () => {
    const client = new Side('client')
    const server = new Side('server')
    const asked = client.request([...GET, 'x-long', 'y'.repeat(20000)], false)
    client.body(asked, 'question', false)
    talk(client, server, cut)
    const [served] = server.streams
    assert.ok(served)
    assert.equal(served.body, 'question')
    asked.trailers = ['x-sum', '1']
    client.body(asked, '!', true)
    server.endpoint.sendHeaders(served, [':status', '103'], false)
    server.endpoint.sendHeaders(served, [':status', '200'], false)
    server.body(served, 'z'.repeat(200000), false)
    served.trailers = ['grpc-status', '0']
    server.body(served, '', true)
    talk(client, server, cut)
    assert.equal(served.body, 'question!')
    assert.deepEqual(served.seen.slice(1), ['last headers x-sum=1', 'sent'])
    assert.equal(asked.body.length, 200000)
    assert.deepEqual(asked.seen, ['sent', 'headers :status=103', 'headers :status=200', 'last headers grpc-status=0'])
    assert.ok(asked.closed && served.closed)
    assert.equal(client.endpoint.streams.size + server.endpoint.streams.size, 0)
    assert.equal(client.error ?? server.error, null)
  })
}

test('endpoint: a sender waits for windows, and streams take turns', () => {
  const client = new Side('client', { announced: [INITIAL_WINDOW_SIZE, 100] })
  const server = new Side('server')
  const asked = [client.request(GET, true), client.request(GET, true)]
  talk(client, server)
  for (const stream of server.streams) {
    stream.onData = () => {}
    server.endpoint.sendHeaders(stream, [':status', '200'], false)
    server.body(stream, 'x'.repeat(250), false)
  }
  for (const stream of asked) stream.onData = (_bytes, start, end) => void (stream.body += 'x'.repeat(end - start))
  talk(client, server)
  assert.deepEqual(
    asked.map(stream => stream.body.length),
    [100, 100],
  )
  client.endpoint.grant(asked[1]!, 100)
  talk(client, server)
  client.endpoint.grant(asked[1]!, 100)
  talk(client, server)
  assert.deepEqual(
    asked.map(stream => stream.body.length),
    [100, 250],
  )
  assert.deepEqual(
    server.streams.map(stream => stream.room),
    [0, 1],
  )
})

test('endpoint: a reset reaches the other side, and late frames for the stream are let pass', () => {
  const client = new Side('client')
  const server = new Side('server')
  const asked = client.request(GET, false)
  talk(client, server)
  server.endpoint.reset(server.streams[0]!, CANCEL)
  client.body(asked, 'late', false)
  talk(client, server)
  assert.deepEqual(asked.seen, [`reset ${CANCEL}`])
  assert.equal(server.error, null)
})

test('endpoint: a refused stream is reset, what is behind a GOAWAY is not answered', () => {
  const client = new Side('client')
  const server = new Side('server')
  server.accepting = false
  const first = client.request(GET, true)
  talk(client, server)
  assert.deepEqual(first.seen, ['sent', `reset ${REFUSED_STREAM}`])
  server.endpoint.goAway(0)
  const second = client.request(GET, true)
  talk(client, server)
  assert.equal(client.goaway, 1)
  assert.deepEqual(second.seen, ['sent', `reset ${REFUSED_STREAM}`])
  assert.equal(
    client.endpoint.open((endpoint, id) => new Noting(endpoint, id)),
    null,
  )
})

test('endpoint: what a client sends of streams behind a GOAWAY it has not read ends nothing', () => {
  const server = greeted()
  give(server, frame(1, 5, 1, '828684'))
  server.endpoint.goAway(0)
  // HEADERS, a window for the response as browsers give it, DATA, and a reset: of stream 3.
  give(server, frame(1, 4, 3, '828684'), frame(8, 0, 3, '00010000'), frame(0, 0, 3, '6162'), frame(3, 0, 3, '00000008'))
  assert.equal(server.error, null)
  assert.equal(server.streams.length, 1)
  give(server, frame(3, 0, 4, '00000008'))
  assert.equal(server.error, PROTOCOL_ERROR)
})

test('endpoint: urgent streams go first (RFC 9218), and dependent ones last (RFC 7540)', () => {
  const server = greeted()
  give(server, frame(1, 5, 1, '828684'), frame(1, 5, 3, '828684'), frame(1, 5, 5, '828684'))
  for (const stream of server.streams) server.endpoint.sender.queue(stream, Buffer.from('x'), true)
  // Stream 1 depends on 3, 5 has a small weight.
  give(server, frame(2, 0, 1, '0000000310'), frame(2, 0, 5, '0000000000'))
  const order = (bytes: Buffer): number[] => {
    const ids: number[] = []
    for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3))
      if (bytes[at + 3] === 0) ids.push(bytes.readUInt32BE(at + 5))
    return ids
  }
  assert.deepEqual(order(server.takeOutput()), [3, 5, 1])
  give(server, frame(1, 5, 7, '828684'), frame(1, 5, 9, '828684'))
  for (const stream of server.streams.slice(3)) server.endpoint.sender.queue(stream, Buffer.from('x'), true)
  give(server, frame(16, 0, 0, Buffer.from('\0\0\0\x09u=1, i', 'latin1')))
  assert.deepEqual(order(server.takeOutput()), [9, 7])
})

for (const [what, code, frames] of [
  ['pings', ENHANCE_YOUR_CALM, () => frame(6, 0, 0, '0000000000000000')],
  ['settings', ENHANCE_YOUR_CALM, () => frame(4, 0, 0, '000400010000')],
  ['empty DATA', ENHANCE_YOUR_CALM, () => frame(0, 0, 1)],
  ['windows that grow by one', ENHANCE_YOUR_CALM, () => frame(8, 0, 0, '00000001')],
  ['priorities', ENHANCE_YOUR_CALM, (i: number) => frame(2, 0, 3 + 2 * i, '0000000010')],
  ['unknown frames', ENHANCE_YOUR_CALM, () => frame(99, 0, 0, '00')],
  ['DATA on closed streams', ENHANCE_YOUR_CALM, () => frame(0, 0, 3, '00')],
  [
    'streams opened and reset',
    ENHANCE_YOUR_CALM,
    (i: number) => Buffer.concat([frame(1, 4, 5 + 2 * i, '828684'), frame(3, 0, 5 + 2 * i, '00000008')]),
  ],
  [
    'resets that we are made to send',
    ENHANCE_YOUR_CALM,
    (i: number) => Buffer.concat([frame(1, 4, 5 + 2 * i, '828684'), frame(8, 0, 5 + 2 * i, '00000000')]),
  ],
] as const) {
  test(`endpoint: a flood of ${what} ends the connection before it costs much`, () => {
    const server = greeted()
    give(server, frame(1, 4, 1, '828684'), frame(1, 4, 3, '828684'))
    server.endpoint.reset(server.streams[1]!, CANCEL)
    let sent = 0
    for (; server.error === null && sent < 20000; sent++) give(server, frames(sent))
    assert.equal(server.error, code)
    assert.ok(sent > 100 && sent < 5000, `${sent} frames`)
    assert.ok(server.endpoint.streams.size <= 1)
  })
}

test('endpoint: a header block without end is cut off, large or in crumbs', () => {
  const large = greeted({ fieldsMax: 32768 })
  give(large, frame(1, 0, 1, Buffer.alloc(16000)))
  for (let i = 0; i < 5 && large.error === null; i++) give(large, frame(9, 0, 1, Buffer.alloc(16000)))
  assert.equal(large.error, ENHANCE_YOUR_CALM)
  const crumbs = greeted()
  give(crumbs, frame(1, 0, 1))
  let sent = 0
  for (; sent < 5000 && crumbs.error === null; sent++) give(crumbs, frame(9, 0, 1))
  assert.equal(crumbs.error, ENHANCE_YOUR_CALM)
  assert.ok(sent < 1000)
})

test('endpoint: any frames are taken or end the stream or the connection (fuzz)', t => {
  const r = random(t)
  for (let round = 0; round < 400; round++) {
    const server = greeted()
    for (let i = 0; i < 30 && server.error === null; i++) {
      const type = r.chance(0.9) ? r.below(11) : r.below(256)
      const id = r.chance(0.8) ? r.below(12) : r.below(2 ** 31)
      const payload = type === 1 && r.chance(0.7) ? Buffer.from('828684', 'hex') : r.bytes(r.pick([0, 4, 5, 6, 8, 20]))
      const bytes = frame(type, r.chance(0.5) ? 5 : r.below(256), id, payload)
      let at = 0
      while (at < bytes.length) {
        const end = Math.min(bytes.length, at + 1 + r.below(bytes.length))
        server.endpoint.feed(bytes, at, end)
        at = end
      }
      if (r.chance(0.3)) {
        for (const stream of server.streams)
          if (!stream.closed && !stream.localEnded && !stream.ending)
            server.body(stream, r.text(r.below(100)), r.chance(0.5))
      }
      server.takeOutput()
    }
    assert.ok(server.endpoint.streams.size <= server.streams.length)
  }
})

test('endpoint: the same bytes mean the same, whole or byte by byte (fuzz)', t => {
  const r = random(t)
  for (let round = 0; round < 300; round++) {
    const frames = [PREFACE, frame(4, 0, 0)]
    let id = 1
    for (let i = r.below(20); i > 0; i--) {
      const kind = r.below(8)
      const on = r.chance(0.8) ? Math.max(1, id - 2 * r.below(3)) : r.below(20)
      if (kind < 3) {
        frames.push(frame(1, r.pick([4, 5, 0x2c, 1]), id, r.chance(0.9) ? '828684' : r.bytes(r.below(12))))
        id += 2
      } else if (kind === 3) frames.push(frame(0, r.pick([0, 1, 8]), on, r.bytes(r.below(40))))
      else if (kind === 4) frames.push(frame(8, 0, r.pick([0, on]), r.bytes(4)))
      else if (kind === 5) frames.push(frame(9, r.pick([0, 4]), on, '84'))
      else if (kind === 6) frames.push(frame(4, r.pick([0, 1]), 0, r.chance(0.5) ? '' : '000400000400'))
      else frames.push(frame(r.below(12), r.below(256), on, r.bytes(r.pick([0, 4, 5, 8, 9]))))
    }
    const bytes = Buffer.concat(frames)
    const outcomes = [bytes.length, 1].map(size => {
      const server = new Side('server')
      for (let at = 0; at < bytes.length; at += size) {
        // Spoiled behind the call: nothing may be kept of it.
        const chunk = Buffer.from(bytes.subarray(at, at + size))
        server.endpoint.feed(chunk, 0, chunk.length)
        chunk.fill(0x55)
      }
      const told = server.streams.map(({ id, seen, body, closed }) => ({ id, seen, body, closed }))
      return { out: server.takeOutput().toString('hex'), error: server.error, goaway: server.goaway, told }
    })
    assert.deepEqual(outcomes[1], outcomes[0])
  }
})

test('endpoint: bytes that are no preface, or no frames, end the connection', () => {
  const other = new Side('server')
  give(other, Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  assert.equal(other.error, PROTOCOL_ERROR)
  const late = new Side('client')
  give(late, frame(6, 0, 0, '0000000000000000'))
  assert.equal(late.error, PROTOCOL_ERROR)
  const broken = greeted()
  give(broken, frame(1, 5, 1, 'ff'))
  assert.equal(broken.error, COMPRESSION_ERROR)
})
