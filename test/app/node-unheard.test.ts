// Requests that a Node worker has never read when it ends go to another.

import assert from 'node:assert/strict'
import test from 'node:test'
import { get, request } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'

const SOURCE = `import http from 'node:http'
const busy = ms => { for (const end = Date.now() + ms; Date.now() < end; ); }
http.createServer((q, s) => {
  if (q.url === '/die') { busy(1000); process.kill(process.pid, 'SIGKILL'); busy(1000) }
  let length = 0
  q.on('data', part => { length += part.length }).on('end', () => s.end(q.method + ' ' + length))
}).listen(3456)`

test('node unheard: requests that wait for a worker’s busy loop are served by the next one when it dies', async t => {
  const server = await serve(t, {
    conf: `
events { }
http {
  access_log off;
  app own { directory %%DIR%%; module a.mjs; workers 1; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { 'a.mjs': SOURCE },
  })
  const post = (length: number) =>
    request({ address: server.port, method: 'POST', path: '/', body: 'x'.repeat(length) })
  // A connection that is there already, and new ones.
  assert.equal((await get(server.port, '/')).text, 'GET 0')
  const deadly = get(server.port, '/die')
  const others = await Promise.all([get(server.port, '/'), get(server.port, '/'), post(10), post(5000)])
  assert.deepEqual(
    others.map(({ text }) => text),
    ['GET 0', 'GET 0', 'POST 10', 'POST 5000'],
  )
  assert.equal((await deadly).status, 502)
})
