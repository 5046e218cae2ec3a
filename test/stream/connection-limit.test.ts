import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { datagramClient, datagramPeer } from '../helpers/datagrams.ts'
import { atEnd, eventually, raw, serve } from '../helpers/index.ts'

test('worker_connections: clients of both blocks and their upstreams count together, and idle ones make room', async t => {
  const silent = net.createServer(socket => void socket.on('error', () => {}))
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  atEnd(t, () => void silent.close())
  const to = (silent.address() as net.AddressInfo).port
  const server = await serve(t, {
    conf: `worker_processes 1; events { worker_connections 6; }
      http { server { listen 127.0.0.1:%%PORT_0%%; location / { return 200 hello; }
        location /waits { proxy_pass http://127.0.0.1:${to}; } } }
      stream { server { listen 127.0.0.1:%%PORT_1%%; proxy_pass 127.0.0.1:${to}; } }`,
  })
  const [http, stream] = server.ports as [number, number]
  // Whether the server is up was asked by connections that are gone.
  const kept = await raw(t, http)
  assert.equal((await kept.request()).text, 'hello')
  const busy = await raw(t, http)
  await busy.send('GET /waits HTTP/1.1\r\nHost: x\r\n\r\n')
  const first = net.connect(stream, '127.0.0.1')
  atEnd(t, () => void first.destroy())
  await once(first, 'connect')
  // With their upstreams, and the one that comes now, they are six and a seventh is asked for: only the first is idle.
  const second = net.connect(stream, '127.0.0.1')
  atEnd(t, () => void second.destroy())
  await kept.closed()
  // Now none is.
  for (const port of [http, stream]) {
    const refused = net.connect(port, '127.0.0.1')
    refused.on('error', () => {})
    atEnd(t, () => void refused.destroy())
    await once(refused, 'close')
  }
  const alerts = /\[alert\].* 6 worker_connections are not enough\n/g
  await eventually(() => server.errorLog().match(alerts)?.length === 2)
  assert.equal(first.destroyed || second.destroyed, false)
})

test('worker_connections: that datagrams find no room is told once a second, not for each of them', async t => {
  const silent = await datagramPeer(t, () => [])
  const server = await serve(t, {
    conf: `worker_processes 1; events { worker_connections 2; }
      stream { server { listen 127.0.0.1:%%PORT_0%% udp; proxy_pass 127.0.0.1:${silent.port}; } }`,
  })
  const port = server.ports[0]!
  ;(await datagramClient(t, port)).send('first')
  await eventually(() => silent.heard.length === 1)
  const begun = performance.now()
  const late = await datagramClient(t, port)
  for (let i = 0; i < 500; i++) late.send('no room')
  const alerts = (): number => server.errorLog().match(/2 worker_connections are not enough/g)?.length ?? 0
  await eventually(() => alerts() > 0)
  const second = await datagramClient(t, port)
  for (let i = 0; i < 500; i++) second.send('no room')
  await eventually(() => {
    second.send('no room')
    return alerts() > 1
  })
  assert.ok(alerts() <= 1 + (performance.now() - begun) / 1000)
  assert.equal(silent.heard.length, 1)
})
