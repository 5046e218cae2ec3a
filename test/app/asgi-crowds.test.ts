// ASGI applications with many clients: those that listen to events, and receivers of a broadcast that are slow.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'

const APPLICATION = `
import asyncio, json

senders = []
begun = 0
everybody = None


async def application(scope, receive, send):
    global begun, everybody
    if scope['type'] == 'websocket':
        await receive()
        await send({'type': 'websocket.accept'})
        senders.append(send)
        while (await receive())['type'] != 'websocket.disconnect':
            pass
    elif scope['type'] == 'http':
        body = b''
        if scope['path'] == '/together':
            begun += 1
            everybody = everybody or asyncio.Event()
            if begun == int(scope['query_string']):
                everybody.set()
            await everybody.wait()
        elif scope['path'] == '/broadcast':
            # The same text each time: only what is encoded of it takes memory.
            texts = ['%04d' % i + 'x' * 1000000 for i in range(10)]
            tasks.extend(asyncio.ensure_future(tell(senders[0], texts[i % 10])) for i in range(400))
        elif scope['path'] == '/memory':
            with open('/proc/self/status') as status:
                body = [line.split()[1] for line in status if line.startswith('VmHWM')][0].encode()
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': body})


tasks = []


async def tell(send, text):
    await send({'type': 'websocket.send', 'text': text})
`

function serveCrowd(t: TestContext, app = ''): Promise<Server> {
  return serve(t, {
    conf: `
events { worker_connections 4096; }
http {
  access_log off;
  app own { directory %%DIR%%; module own; kind asgi; workers 1; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { 'own.py': APPLICATION },
  })
}

test('asgi: a worker has more than a thousand requests at a time where it may', async t => {
  const server = await serveCrowd(t, 'worker_connections 1200;')
  const answers = await Promise.all(Array.from({ length: 1100 }, () => get(server.port, '/together?1100')))
  assert.deepEqual([...new Set(answers.map(answer => answer.status))], [200])
})

test('asgi: what many tasks send to a client that does not read comes in order, and is held once', async t => {
  const server = await serveCrowd(t)
  const client = await raw(t, server.port)
  await client.send(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  await client.until('\r\n\r\n')
  client.socket.pause()
  await get(server.port, '/broadcast')
  const kilobytes = Number((await get(server.port, '/memory')).text)
  // Encoded they were 400 MB.
  assert.ok(kilobytes < 200_000, `${kilobytes} KB`)
  client.socket.resume()
  const numbers: number[] = []
  await eventually(() => {
    while (client.received.length >= 14) {
      const size = 10 + Number(client.received.readBigUInt64BE(2))
      if (client.received.length < size) break
      numbers.push(Number(client.received.toString('latin1', 10, 14)))
      client.received = client.received.subarray(size)
    }
    return numbers.length >= 20
  })
  assert.deepEqual(
    numbers.slice(0, 20),
    Array.from({ length: 20 }, (_, i) => i % 10),
  )
})
