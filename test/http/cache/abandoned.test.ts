import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../../helpers/eventually.ts'
import { serveHttp } from '../../helpers/http.ts'
import { origin, raw, request } from '../../helpers/index.ts'

test('a client that has left is not fetched for from one server after the other, and nobody waits for that', async t => {
  const asked: net.Socket[] = []
  const first = await origin(t, (_, socket) => void asked.push(socket))
  const second = await origin(t, () => 'HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 2\r\n\r\nok')
  const { port, dir } = await serveHttp(
    t,
    `location / { proxy_pass http://both; proxy_cache one; proxy_cache_lock on; proxy_cache_lock_age 60s;
       proxy_cache_lock_timeout 60s; access_log access.log combined; add_header X-Cache $upstream_cache_status; }`,
    `proxy_cache_path cache keys_zone=one:1m;
     upstream both { server 127.0.0.1:${first.port}; server 127.0.0.1:${second.port}; }`,
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  const client = await raw(t, port)
  await client.send('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => asked.length === 1)
  const other = request({ address: port, path: '/a', timeoutMs: 15_000 })
  client.destroy()
  await eventually(() => / 499 /.test(readFileSync(join(dir, 'access.log'), 'latin1')))
  asked[0]!.destroy()
  const response = await other
  assert.deepEqual([response.status, response.text], [200, 'ok'])
})

test('what is kept, and as what, is settled by the request of a client that has left, and by no other', async t => {
  const asked: net.Socket[] = []
  const app = await origin(t, (_, socket) => void asked.push(socket))
  const { port, dir } = await serveHttp(
    t,
    `access_log access.log combined;
     location / { proxy_pass http://127.0.0.1:${app.port}; proxy_cache one; proxy_no_cache $http_private;
       add_header X-Cache $upstream_cache_status; }
     location /other { return 200 other; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  /** Asks, leaves, and another client asks for something else; then the answer comes, and goes nowhere. */
  const abandon = async (path: string, fields: string, answer: string): Promise<void> => {
    const before = asked.length
    const client = await raw(t, port)
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)
    await eventually(() => asked.length === before + 1)
    client.destroy()
    await eventually(() => readFileSync(join(dir, 'access.log'), 'latin1').includes(`GET ${path} HTTP/1.1" 499 `))
    await request({ address: port, path: '/other', headers: { 'Accept-Language': 'de' } })
    asked.at(-1)!.end(`HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\n${answer}Content-Length: 2\r\n\r\nok`)
    await eventually(() => app.open.size === 0)
  }
  const see = async (path: string, language: string): Promise<string | null> => {
    const before = asked.length
    const response = request({ address: port, path, headers: { 'Accept-Language': language } })
    void eventually(() => asked.length > before).then(
      () => asked.at(-1)!.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno'),
      () => {},
    )
    return (await response).header('x-cache')
  }
  await abandon('/private', 'Private: yes', '')
  assert.equal(await see('/private', 'de'), 'MISS')
  await abandon('/varying', 'Accept-Language: en', 'Vary: Accept-Language\r\n')
  assert.equal(await see('/varying', 'en'), 'HIT')
  assert.equal(await see('/varying', 'de'), 'MISS')
})
