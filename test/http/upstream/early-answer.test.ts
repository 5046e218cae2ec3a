// An upstream that refuses an upload before it has read it, and closes: the client gets that answer. What an upstream has not read
// when it closes makes the kernel cut the connection, so that the proxy's next write fails while the answer waits to be read.

import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import net from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { atEnd, serve, tempDir } from '../../helpers/index.ts'
import { request } from '../../helpers/raw.ts'
import type { Scope } from '../../helpers/scope.ts'

const UPLOAD = Buffer.alloc(3_000_000, 'x')
const TIMES = 5

async function refusing(t: Scope, where: object, answer: string): Promise<net.Server> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(answer)
      socket.destroy()
    })
  })
  server.listen(where)
  await once(server, 'listening')
  atEnd(t, () => void server.close())
  return server
}

for (const [name, fields] of [
  ['with its length', 'Content-Length: 7\r\nConnection: close\r\n'],
  ['kept alive', 'Content-Length: 7\r\n'],
] as const) {
  test(`an upload that is refused early gets the upstream's answer, ${name}`, async t => {
    const answer = `HTTP/1.1 413 Content Too Large\r\n${fields}\r\ntoo big`
    const path = join(tempDir(t), 'u.sock')
    const { port } = (await refusing(t, { host: '127.0.0.1', port: 0 }, answer)).address() as net.AddressInfo
    await refusing(t, { path }, answer)
    chmodSync(path, 0o777)
    const server = await serve(t, {
      conf: `
http {
  client_max_body_size 10m;
  upstream tcp { server 127.0.0.1:${port}; keepalive 4; }
  upstream unix { server unix:${path}; keepalive 4; }
  server {
    listen 127.0.0.1:%%PORT_0%%;
    proxy_http_version 1.1;
    location /tcp/ { proxy_pass http://tcp; }
    location /unix/ { proxy_pass http://unix; }
    location /tcp/streamed { proxy_request_buffering off; proxy_pass http://tcp; }
    location /unix/streamed { proxy_request_buffering off; proxy_pass http://unix; }
  }
}`,
    })
    for (const where of ['/tcp/', '/unix/', '/tcp/streamed', '/unix/streamed']) {
      for (let i = 0; i < TIMES; i++) {
        const { status, text } = await request({ address: server.port, method: 'POST', path: where, body: UPLOAD })
        assert.deepEqual([where, status, text], [where, 413, 'too big'])
      }
    }
  })
}
