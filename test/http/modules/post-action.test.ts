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
    location /done { proxy_pass http://127.0.0.1:${account.port}; }
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
  // nginx takes no arguments there: it is a path with a "?".
  assert.equal(account.requests[1]!.target, '/done%3Fa')
  assert.equal((await request({ address: server.port, path: '/page', method: 'HEAD' })).status, 200)
  await eventually(() => account.requests.length === 3)
  assert.equal(account.requests[2]!.method, 'HEAD')
})

test('post_action goes on with the same request: its line names all upstreams, its error stays, its body is passed', async t => {
  const asked: string[] = []
  const { port } = await origin(t, ({ method, target, body }) => {
    asked.push(`${method} ${target} ${body.toString()}`)
    return target === '/fails' ? 'HTTP/1.1 500 no\r\nContent-Length: 4\r\n\r\nfail' : reply('noted')
  })
  const server = await serveHttp(
    t,
    `access_log lines shown;
     location / { proxy_pass http://127.0.0.1:${port}; post_action /account; }
     location /missing { post_action /account; return 404; }
     location /to-here { proxy_pass http://127.0.0.1:${port}; post_action /here; }
     location /account { proxy_pass http://127.0.0.1:${port}; }
     location /here { return 204; }`,
    "log_format shown '$request_uri $uri $status $upstream_status $upstream_response_length';",
  )
  const lines = (): string[] => readFileSync(join(server.dir, 'lines'), 'latin1').split('\n').slice(0, -1)
  const expect = async (count: number, line: string): Promise<void> => {
    await eventually(() => lines().length === count)
    assert.equal(lines().at(-1), line)
  }
  await request({ address: server.port, path: '/a', method: 'POST', body: 'abc' })
  await expect(1, '/a /account 200 200 : 200 5 : 0')
  assert.deepEqual(asked, ['POST /a abc', 'POST /account abc'])
  await get(server.port, '/fails')
  await expect(2, '/fails /account 200 500 : 200 4 : 0')
  assert.equal((await get(server.port, '/missing')).status, 404)
  await expect(3, '/missing /account 404 200 0')
  await get(server.port, '/to-here')
  await expect(4, '/to-here /here 204 200 5')
})
