// What proxy_upload_rate and proxy_download_rate let through at once.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import test from 'node:test'
import type { Connection } from '../../src/net/connection.ts'
import { Throttle } from '../../src/stream/proxy/throttle.ts'
import { atEnd, raw, serve } from '../helpers/index.ts'

/** A side that notes the pieces and whether it may be read. */
function side(): { pieces: string[]; reading: boolean; resumed: PromiseWithResolvers<void> } {
  return { pieces: [], reading: true, resumed: Promise.withResolvers() }
}

function throttled(rate: number, pieceSize: number, noted: ReturnType<typeof side>): Throttle {
  const connection = { pause: () => void (noted.reading = false) } as unknown as Connection
  const pass = (piece: Buffer): void => void noted.pieces.push(piece.toString('latin1'))
  return new Throttle(rate, pieceSize, { connection, pass, resume: () => noted.resumed.resolve() })
}

test('a read brings more than a second may: the rest is held back', () => {
  const noted = side()
  const throttle = throttled(1000, 16384, noted)
  const chunk = Buffer.from('a'.repeat(1000) + 'b'.repeat(1500))
  throttle.read(chunk, true)
  assert.deepEqual(noted.pieces, ['a'.repeat(1000)])
  assert.equal(noted.reading, false)
  assert.equal(throttle.waits, true)
  assert.equal(throttle.heldBytes, 1500)
  // What comes though nobody should have read.
  throttle.read(Buffer.from('c'), true)
  assert.equal(throttle.heldBytes, 1501)
  throttle.stop()
  assert.equal(throttle.waits, false)
})

test('the rest goes on when what went has had its time', async () => {
  const noted = side()
  const throttle = throttled(1_000_000, 20_000, noted)
  throttle.read(Buffer.alloc(30_000, 'x'), true)
  assert.deepEqual(
    noted.pieces.map(piece => piece.length),
    [20_000],
  )
  await noted.resumed.promise
  throttle.goOn()
  assert.deepEqual(
    noted.pieces.map(piece => piece.length),
    [20_000, 10_000],
  )
  throttle.stop()
})

test('what takes less than a millisecond waits for nothing', () => {
  const noted = side()
  const throttle = throttled(100_000_000, 16_384, noted)
  throttle.read(Buffer.alloc(40_000, 'x'), true)
  assert.equal(noted.pieces.join('').length, 40_000)
  assert.equal(noted.reading, true)
})

test('who is held back is not late', async t => {
  const upstream = net.createServer(socket => void socket.end('x'.repeat(500)))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  atEnd(t, () => void upstream.close())
  const { port } = upstream.address() as AddressInfo
  const held = 'proxy_download_rate 200; proxy_timeout 300ms;'
  const server = await serve(
    t,
    `events {} stream { server { listen 127.0.0.1:%%PORT_0%%; proxy_pass 127.0.0.1:${port}; ${held} } }`,
  )
  const client = await raw(t, server.port)
  assert.equal((await client.closed()).length, 500)
})
