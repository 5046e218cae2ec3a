// A thread that is told to retire: what had come by then is answered.

import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { get as fields, headers, http2 } from '../../helpers/http2.ts'
import { raw } from '../../helpers/index.ts'

const conf = "http2 on; location / { return 200 'hello'; }"

for (const grace of [true, false]) {
  const occasion = grace ? 'a reload' : 'a stop'

  test(`${occasion} lets requests be answered that had come on kept connections`, async t => {
    const server = await serveHttp(t, conf)
    const client = await raw(t, server.port)
    await client.request()
    // The kernel has it when send() returns; nobody has read it.
    const sent = client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    server.http.retire(grace, () => {})
    await sent
    assert.match(await client.until('hello'), /^HTTP\/1\.1 200 .*\r\nConnection: close\r\n/s)
    await client.closed()
  })

  test(`${occasion} lets requests of HTTP/2 be answered that had come`, async t => {
    const server = await serveHttp(t, conf)
    const client = await http2(t, server.port)
    client.send(headers(1, fields()))
    await client.response(1)
    client.send(headers(3, fields()))
    server.http.retire(grace, () => {})
    assert.equal((await client.response(3)).status, 200)
    assert.equal((await client.frame('GOAWAY')).payload.readUInt32BE(), 3)
    await client.closed()
  })
}
