// What is told of the time that a request waited for a worker of kind node.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'node:test'
import { get, raw, serve } from '../helpers/index.ts'

test('the time in which a client sends its body is none that it waits for a worker', async t => {
  const server = await serve(t, {
    conf: `http { app one { directory %%DIR%%; module ./node.mjs; kind node; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass one; app_server_timing on; } } }`,
    files: { 'node.mjs': "export default (request, response) => response.end('here')\n" },
  })
  assert.equal((await get(server.port)).status, 200)
  const client = await raw(t, server.port)
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345')
  await sleep(50)
  await client.send('67890')
  assert.match((await client.response()).header('server-timing')!, /^queue;dur=0\.0, app;dur=/)
})
