// The cache in the whole program: shared by threads, kept over a reload and a restart, tidied up behind everybody's back.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { origin, request, serve } from '../../helpers/index.ts'
import { eventually } from '../../helpers/eventually.ts'

const conf = (app: number, path: string, threads = 2, size = '1m'): string => `
worker_processes ${threads};
http {
  proxy_cache_path cache levels=2 keys_zone=one:${size} ${path};
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location / {
      proxy_pass http://127.0.0.1:${app};
      proxy_cache one;
      proxy_cache_lock on;
      add_header X-Cache $upstream_cache_status;
      add_header X-Size ${size};
    }
  }
}`

function entries(dir: string): number {
  return readdirSync(join(dir, 'cache'), { recursive: true, encoding: 'latin1' }).filter(name =>
    /[0-9a-f]{32}$/.test(name),
  ).length
}

test('threads share it, and it outlives a reload and a restart', async t => {
  let count = 0
  const app = await origin(t, ({ target }) => {
    const body = `${target} ${++count}`
    return `HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  })
  const server = await serve(t, conf(app.port, ''))
  const port = server.ports[0]!
  const ask = async (address: number, path: string): Promise<string> => {
    const response = await request({ address, path })
    return `${response.header('x-cache')} ${response.text}`
  }
  const all = await Promise.all(Array.from({ length: 40 }, () => ask(port, '/a')))
  assert.deepEqual([...new Set(all)].toSorted(), ['HIT /a 1', 'MISS /a 1'])
  for (let i = 0; i < 20; i++) assert.equal(await ask(port, '/a'), 'HIT /a 1')
  await server.reload()
  for (let i = 0; i < 20; i++) assert.equal(await ask(port, '/a'), 'HIT /a 1')
  await server.stop()
  const again = await serve(t, { conf: conf(app.port, ''), dir: server.dir })
  assert.equal(await ask(again.ports[0]!, '/a'), 'HIT /a 1')
  assert.equal(app.requests.length, 1)
})

test('a zone of another size knows nothing yet: its files are looked for, as after a restart', async t => {
  const app = await origin(t, ({ target }) => {
    return `HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: ${target.length}\r\n\r\n${target}`
  })
  const server = await serve(t, conf(app.port, '', 1))
  const address = server.ports[0]!
  for (const path of ['/a', '/b', '/c']) await request({ address, path })
  // Until then the memory is not relied on alone.
  await eventually(() => server.errorLog().includes('http file cache: '))
  await server.reload(conf(app.port, '', 1, '2m'))
  await eventually(async () => (await request({ address, path: '/a' })).header('x-size') === '2m')
  for (const path of ['/a', '/b', '/c']) assert.equal((await request({ address, path })).header('x-cache'), 'HIT')
  // Whoever was asked first, too.
  assert.equal(app.requests.length, 3)
})

test('what is unused and what is too much is thrown out', async t => {
  const app = await origin(t, () => `HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 1\r\n\r\nx`)
  const unused = await serve(t, conf(app.port, 'inactive=4s', 1))
  for (let i = 0; i < 5; i++) await request({ address: unused.ports[0]!, path: `/${i}` })
  await eventually(() => entries(unused.dir) === 5)
  await eventually(() => entries(unused.dir) === 0)

  const small = await serve(t, conf(app.port, 'max_size=12k manager_sleep=50ms', 1))
  for (let i = 0; i < 8; i++) await request({ address: small.ports[0]!, path: `/${i}` })
  await eventually(() => entries(small.dir) < 4)
  assert.equal((await request({ address: small.ports[0]!, path: '/7' })).header('x-cache'), 'HIT')
})
