// What the access log has of requests that worker_shutdown_timeout cuts off.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import test from 'node:test'
import { atEnd, raw, serve } from '../../helpers/index.ts'

test('a connection that speaks another protocol, and a request without an answer', async t => {
  const upstream = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', head => {
      const upgrades = head.toString('latin1').startsWith('GET /up')
      if (upgrades) socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello')
    })
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  atEnd(t, () => void upstream.close())
  const { port } = upstream.address() as AddressInfo
  const server = await serve(t, {
    conf: `worker_shutdown_timeout 300ms; events {}
http {
  log_format line '$uri $status';
  access_log access.log line;
  server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://127.0.0.1:${port}; proxy_set_header Upgrade x; proxy_set_header Connection upgrade; } }
}`,
  })
  const [upgraded, waiting] = [await raw(t, server.port), await raw(t, server.port)]
  await upgraded.send('GET /up HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
  await upgraded.until('hello')
  const asked = once(upstream, 'connection')
  await waiting.send('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n')
  await asked
  await server.stop('SIGQUIT')
  assert.deepEqual(server.file('access.log').split('\n').toSorted(), ['', '/slow 499', '/up 101'])
})
