import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import { get, raw, request, type Response } from '../../helpers/index.ts'

const file = { after }
const server: HttpServer = await serveHttp(
  file,
  `
  root html;
  location /yes { auth_request /auth/204; }
  location /local { auth_request /local-auth; }
  location = /local-auth { return 204; }
  location /no { auth_request /auth/403; }
  location /who { auth_request /auth/401; }
  location /odd { auth_request /auth/404; }
  location /off { auth_request /auth/403; location /off/inner { auth_request off; } }
  location /set { auth_request /auth/204; auth_request_set $user $upstream_http_x_user; add_header X-User $user; }
  location /both { auth_request /auth/204; auth_request_set $user $upstream_http_x_user; set $user before; add_header X-User $user; }
  location /paged { auth_request /auth/401; error_page 401 = /login; }
  location = /login { return 200 "log in for $request_uri"; }
  location /quiet { auth_request /quiet-auth; }
  location = /quiet-auth { add_header WWW-Authenticate own always; return 401; }
  location /hangs-up { auth_request /nothing; }
  location = /nothing { return 444; }
  location /itself { auth_request /itself; }
  location /slow { auth_request /wait; }
  location /wait { internal; proxy_pass http://unix:/nonexistent; }
  location /auth/ { internal; proxy_pass http://%PORT%/backend/; }
  location /method { auth_request /ask; auth_request_set $asked $upstream_http_x_asked; add_header X-Asked $asked always; }
  location = /ask { internal; proxy_pass http://%PORT%/backend/asked; proxy_set_header X-Method $request_method; }
  location = /backend/asked { add_header X-Asked "$request_method about $http_x_method"; return 204; }
  location /sized { auth_request /small; empty_gif; }
  location = /small { client_max_body_size 2; return 204; }
  location = /backend/204 { add_header X-User joe; return 204; }
  location = /backend/401 { add_header WWW-Authenticate 'Basic realm="b"' always; return 401; }
  location = /backend/403 { return 403 "no, and a body that nobody wants"; }
  `,
  '',
  { files: Object.fromEntries(['yes', 'local', 'off/inner', 'set', 'both'].map(name => [`html/${name}`, 'page'])) },
)

const ask = (path: string): Promise<Response> => get(server.port, path)

test('2xx lets the request go on', async () => {
  assert.equal((await ask('/yes')).text, 'page')
  assert.equal((await ask('/local')).text, 'page')
})

test('the method that is asked about is the client’s', async () => {
  const response = await request({ address: server.port, path: '/method', method: 'DELETE' })
  assert.equal(response.header('x-asked'), 'GET about DELETE')
})

test('403 and 401 are the answer, the latter with its challenge', async () => {
  assert.equal((await ask('/no')).status, 403)
  const response = await ask('/who')
  assert.equal(response.status, 401)
  assert.equal(response.header('www-authenticate'), 'Basic realm="b"')
})

test('any other status is an error', async () => {
  assert.equal((await ask('/odd')).status, 500)
  assert.match(server.errorLog(), /auth request unexpected status: 404, client/)
})

test('off switches it off', async () => {
  assert.equal((await ask('/off/inner')).text, 'page')
})

test('auth_request_set takes values from the subrequest, also into variables that are set elsewhere', async () => {
  assert.equal((await ask('/set')).header('x-user'), 'joe')
  assert.equal((await ask('/both')).header('x-user'), 'joe')
})

test('a refusal has the error page of the location', async () => {
  const response = await ask('/paged/x')
  assert.equal(`${response.status} ${response.text}`, '200 log in for /paged/x')
})

test('a request body goes by the subrequest and stays for the request', async () => {
  const client = await raw(file, server.port)
  const first = await client.request({ path: '/yes', method: 'POST', body: 'abc' })
  assert.equal(first.status, 405)
  assert.equal((await client.request({ path: '/yes' })).text, 'page')
})

test('a subrequest is not checked itself', async () => {
  assert.equal((await ask('/itself')).status, 500)
  assert.match(server.errorLog(), /auth request unexpected status: 404.*"GET \/itself/)
})

test('what fails within the subrequest says so in the log', async () => {
  assert.equal((await request({ address: server.port, path: '/slow' })).status, 500)
  assert.match(server.errorLog(), /request: "GET \/slow HTTP\/1\.1", (?:subrequest: "\/wait", )?upstream/)
})

test('fields that add_header gives a subrequest are for nobody', async () => {
  const response = await ask('/quiet')
  assert.equal(response.status, 401)
  assert.equal(response.header('www-authenticate'), null)
})

test('a subrequest that hangs up ends the connection', async () => {
  const client = await raw(file, server.port)
  await client.send('GET /hangs-up HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(await client.closed(), '')
})

test('a body counts for the location that is asked, too', async () => {
  const client = await raw(file, server.port)
  assert.equal((await client.request({ path: '/sized', method: 'POST', body: 'ab' })).status, 405)
  assert.equal((await client.request({ path: '/sized', method: 'POST', body: 'abc' })).status, 500)
  assert.match(server.errorLog(), /too large body: 3 bytes[^]*auth request unexpected status: 413/)
})
