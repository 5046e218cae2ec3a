import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, raw, request, serve } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

test('$args is missing where nobody wrote any, and empty where nothing is left of them', async t => {
  const server = await serveHttp(
    t,
    `access_log args.log shown;
     location / { return 200; }
     location /bare/ { rewrite ^ /x? last; }
     location /adds/ { rewrite ^ /x last; }
     location /empty/ { rewrite ^ /x?$http_missing last; }
     location /tries/ { try_files /none /x?; }
     location /page/ { error_page 404 =200 /x?; return 404; }
     location /plain-page/ { error_page 404 =200 /x; return 404; }
     location /set/ { set $args ''; return 200; }`,
    "log_format shown '$args|$query_string';",
  )
  const cases: [path: string, args: string][] = [
    ['/', '-'],
    ['/?', '-'],
    ['/?a', 'a'],
    ['/bare/', '-'],
    ['/bare/?a', ''],
    ['/adds/', '-'],
    ['/adds/?a', 'a'],
    ['/empty/', ''],
    ['/tries/', ''],
    ['/page/', ''],
    ['/plain-page/?a', '-'],
    ['/set/', ''],
  ]
  for (const [path] of cases) assert.equal((await get(server.port, path)).status, 200, path)
  const logged = (): string[] => readFileSync(join(server.dir, 'args.log'), 'latin1').split('\n').slice(0, -1)
  await eventually(() => logged().length === cases.length)
  assert.deepEqual(
    logged(),
    cases.map(([, args]) => `${args}|${args}`),
  )
})

test('$content_type joins the fields of a request that has several', async t => {
  const { port } = await serveHttp(t, 'return 200 $content_type;')
  assert.equal((await request({ address: port, headers: { 'Content-Type': ['a/b', 'c/d'] } })).text, 'a/b, c/d')
})

test('$server_addr of a Unix socket is its path, which is also the host nobody has named', async t => {
  const server = await serve(
    t,
    `http { server {
      listen unix:%%DIR%%/socket;
      location / { return 200 "$server_addr|$server_port"; }
      location /away { return 301 /there; }
    } }`,
  )
  const address = `unix:${server.dir}/socket`
  assert.equal((await request({ address: address.slice(5) })).text, `${address}|`)
  const client = await raw(t, address.slice(5))
  await client.send('GET /away HTTP/1.0\r\n\r\n')
  assert.equal((await client.response()).header('location'), `http://${address}/there`)
})
