import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import { request, serve } from '../../helpers/index.ts'

const file = { after }
const many = Array.from({ length: 10_000 }, (_, i) => `deny 10.${i >> 8}.${i & 255}.0/24;`).join('\n')
const server: HttpServer = await serveHttp(
  file,
  `
  location /allow { allow 127.0.0.0/8; deny all; }
  location /first { deny 127.0.0.1; allow all; }
  location /neither { allow 10.0.0.0/8; deny 192.168.0.0/16; deny unix:; }
  location /outer { deny all; location /outer/inner { allow 127.0.0.1; } location /outer/same { } }
  location /methods { limit_except GET { deny all; } return 200 ok; }
  location /other { alias html/; limit_except GET { deny all; } }
  location /heads { alias html/; limit_except HEAD { deny all; } }
  location /many { ${many} deny 127.0.0.1; }
  location /any { satisfy any; allow 127.0.0.1; deny all; auth_basic x; auth_basic_user_file users; }
  location /any-deny { satisfy any; deny all; auth_basic x; auth_basic_user_file users; }
  location /all { satisfy all; deny all; auth_basic x; auth_basic_user_file users; }
  `,
  '',
  { files: { users: 'joe:{PLAIN}word\n', 'html/x': 'x' } },
)

const joe = { Authorization: `Basic ${btoa('joe:word')}` }

async function status(path: string, headers = {}, method = 'GET'): Promise<number> {
  return (await request({ address: server.port, path, headers, method })).status
}

test('the first rule that matches the address counts', async () => {
  assert.equal(await status('/allow'), 404)
  assert.equal(await status('/first'), 403)
  assert.match(server.errorLog(), /access forbidden by rule, client: 127\.0\.0\.1/)
})

test('an address that no rule is about may go on', async () => {
  assert.equal(await status('/neither'), 404)
})

test('a block with any rule of its own inherits none', async () => {
  assert.equal(await status('/outer/x'), 403)
  assert.equal(await status('/outer/inner'), 404)
  assert.equal(await status('/outer/same'), 403)
})

test('ten thousand networks are looked up as one', async () => {
  assert.equal(await status('/many'), 403)
})

test('limit_except is in force for the methods it does not name; GET means HEAD, too', async () => {
  assert.equal(await status('/other/x'), 200)
  assert.equal(await status('/other/x', {}, 'HEAD'), 200)
  for (const method of ['POST', 'DELETE', 'BREW']) assert.equal(await status('/other/x', {}, method), 403, method)
})

test('limit_except: HEAD alone may be named', async () => {
  assert.equal(await status('/heads/x', {}, 'HEAD'), 200)
  assert.equal(await status('/heads/x'), 403)
})

test('satisfy any: one consent is enough, and 401 comes before 403', async () => {
  assert.equal(await status('/any'), 404)
  assert.equal(await status('/any-deny', joe), 404)
  assert.equal(await status('/any-deny'), 401)
})

test('satisfy all: the first refusal counts', async () => {
  assert.equal(await status('/all', joe), 403)
})

test('satisfy any tells of a refusal when all have had their say', async t => {
  const denied = await serveHttp(t, 'satisfy any; deny all; location / { empty_gif; }')
  assert.equal((await request({ address: denied.port })).status, 403)
  assert.match(denied.errorLog(), /access forbidden by rule, client: 127\.0\.0\.1/)
})

test("IPv4 in IPv6's clothes is IPv4, unless all rules are about IPv6", async t => {
  const server = await serve(
    t,
    `http { server {
      listen [::]:%%PORT_0%% ipv6only=off;
      location /both { deny ::/0; deny 10.0.0.0/8; empty_gif; }
      location /only { deny ::ffff:0:0/96; empty_gif; }
      location /other { deny ::1; empty_gif; }
    } }`,
  )
  const status = async (path: string): Promise<number> => (await request({ address: server.port, path })).status
  assert.equal(await status('/both'), 200)
  assert.equal(await status('/only'), 403)
  assert.equal(await status('/other'), 200)
})
