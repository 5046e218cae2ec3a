// Fetch handlers that are asked for a websocket: Node has no way to give them one.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { raw } from '../helpers/raw.ts'
import { serveNode } from './node-file.ts'

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

for (const [what, answer, status] of [
  ['one of a class of its own', `({ status: 101, statusText: '', headers: new Headers(), body: null })`, 501],
  ['one that Node does not make', 'new Response(null, { status: 101 })', 500],
  ['nothing, as adapters for Node have it', 'new Response()', 200],
] as const) {
  test(`node: a fetch handler that answers 101 with ${what}: the log says what to do`, async t => {
    const server = await serveNode(t, 'a.mjs', `export default { fetch: request => ${answer} }`)
    const client = await raw(t, server.port)
    await client.send(HANDSHAKE)
    assert.equal((await client.response()).status, status)
    await eventually(() => /"a.mjs" exports a fetch handler that was asked for a websocket/.test(server.errorLog()))
  })
}
