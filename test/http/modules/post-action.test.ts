import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, get, origin, raw, reply, request } from '../../helpers/index.ts'

test('post_action: the request is logged once, behind it, by the location it has come to', async t => {
  const server = await serveHttp(
    t,
    `access_log first.log shown;
     location /a { post_action /accounting; return 200 abc; }
     location /b { post_action @named; return 200 abcd; }
     location /c { post_action @missing; return 200 abcde; }
     location /accounting { access_log second.log shown; return 204; }
     location @named { access_log second.log shown; return 204; }`,
    "log_format shown '$request_uri $uri $body_bytes_sent $request_length';",
  )
  const lengths = ['/a', '/b', '/c'].map(path => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.length)
  const client = await raw(t, server.port)
  for (const path of ['/a', '/b', '/c']) {
    await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    assert.equal((await client.response()).status, 200)
  }
  const lines = (name: string): string[] => readFileSync(join(server.dir, name), 'latin1').split('\n').slice(0, -1)
  await eventually(() => lines('second.log').length === 2 && lines('first.log').length === 1)
  assert.deepEqual(lines('second.log'), [`/a /accounting 3 ${lengths[0]}`, `/b /b 4 ${lengths[1]}`])
  assert.deepEqual(lines('first.log'), [`/c /c 5 ${lengths[2]}`])
})

test('post_action tells another server how a request ended, behind the client’s back', async t => {
  const account = await origin(t, reply('noted'))
  const server = await serveHttp(
    t,
    `
    root html;
    location / { post_action @account; }
    location /page2 { post_action /done?a; }
    location = /done { proxy_pass http://127.0.0.1:${account.port}; }
    location @account { proxy_pass http://127.0.0.1:${account.port}/account?uri=$uri&sent=$body_bytes_sent; }
    `,
    '',
    { files: { 'html/page': 'page', 'html/page2': 'page2' } },
  )
  assert.equal((await get(server.port, '/page')).text, 'page')
  await eventually(() => account.requests.length === 1)
  assert.equal(account.requests[0]!.target, '/account?uri=/page&sent=4')
  assert.equal((await get(server.port, '/page2')).text, 'page2')
  await eventually(() => account.requests.length === 2)
  assert.equal(account.requests[1]!.target, '/done?a')
  assert.equal((await request({ address: server.port, path: '/page', method: 'HEAD' })).status, 200)
  await eventually(() => account.requests.length === 3)
  assert.equal(account.requests[2]!.method, 'HEAD')
})
