import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, get } from '../../helpers/index.ts'
import { connectTo } from '../../helpers/ports.ts'

test('a request is complete when its response has left, and not when the client left before', async t => {
  const server = await serveHttp(
    t,
    'root html; access_log logs/a how; location /slow { limit_rate 1k; }',
    'log_format how "$uri $status [$request_completion]";',
    { files: { 'html/a': 'short', 'html/slow': 'x'.repeat(100_000) } },
  )
  const logged = (): string => readFileSync(join(server.dir, 'logs/a'), 'latin1')
  await get(server.port, '/a')
  await eventually(() => logged() === '/a 200 [OK]\n')
  const socket = connectTo(server.port)
  t.after(() => socket.destroy())
  socket.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  socket.destroy()
  await eventually(() => logged().split('\n')[1] === '/slow 200 []')
  assert.equal(logged().trimEnd().split('\n').length, 2)
})
