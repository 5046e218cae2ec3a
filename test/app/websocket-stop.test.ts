// A websocket that has lasted beyond a reload: its thread was retired then, and hears of the stop all the same.

import assert from 'node:assert/strict'
import { CLOSE, frameHeader, TEXT } from '../../src/codec/ws.ts'
import { eventually } from '../helpers/eventually.ts'
import test from '../helpers/python-test.ts'
import { get, raw } from '../helpers/raw.ts'
import { serveThings } from './things.ts'

const HANDSHAKE =
  'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

const AGAIN = Buffer.from([1012 >> 8, 1012 & 255])

/** What a client sends, masked with zeros. */
function masked(opcode: number, payload: Buffer): Buffer {
  const header = frameHeader(opcode, payload.length)
  header[1]! |= 0x80
  return Buffer.concat([header, Buffer.alloc(4), payload])
}

test('websocket: a server that stops closes those, too, that are left from before a reload', async t => {
  const server = await serveThings(t, { module: 'asgi_things:application', app: 'kind asgi; workers 1;' })
  const client = await raw(t, server.port)
  await client.send(HANDSHAKE)
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 101 /)
  const { text } = await get(server.port, '/pid')
  await server.reload()
  await eventually(async () => (await get(server.port, '/pid')).text !== text)
  await client.send(masked(TEXT, Buffer.from('still here')))
  await client.until('still here')
  const stopped = server.stop()
  const close = Buffer.concat([frameHeader(CLOSE, 2), AGAIN])
  await eventually(() => client.received.includes(close))
  await client.send(masked(CLOSE, AGAIN))
  await client.closed()
  client.destroy()
  await stopped
})
