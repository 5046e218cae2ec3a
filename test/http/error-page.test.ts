import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { serveHttp, type HttpServer } from '../helpers/http.ts'
import { eventually, get, raw, request, type Response } from '../helpers/index.ts'

const file = { after }
const server: HttpServer = await serveHttp(
  file,
  `
  root html;
  error_page 400 /400.html;
  location / { }
  location = /404.html { internal; }
  location /own/ { error_page 404 /404.html; }
  location /page/ { error_page 404 = /show?x=$uri; }
  location /ok/ { error_page 404 =200 /404.html; }
  location /beyond/ { alias html/; error_page 416 =200 /404.html; }
  access_log status.log seen;
  location /first/ { error_page 404 500 /404.html; error_page 404 =200 /show; }
  location /named/ { error_page 404 = @named; }
  location /missing/ { error_page 404 @nowhere; }
  location @named { return 200 "$uri $args $request_method"; }
  location /show { return 200 "$uri $args $request_method"; }
  location /away/ { error_page 404 http://example.org/; }
  location /moved/ { error_page 404 =301 http://example.org$uri; }
  location /once/ { error_page 404 /inner/; }
  location /again/ { error_page 404 /inner/; recursive_error_pages on; }
  location /inner/ { error_page 403 = /show; return 403; }
  location /circle/ { error_page 404 /circle/2; recursive_error_pages on; }
  location /large { client_max_body_size 10; error_page 413 /show; mirror /show; }
  location /padding { msie_padding off; return 404; }
  location /unmatched { alias html/404.html; error_page 412 /show; }
  location /moved-here { error_page 301 =200 /show-file; return 301 /there; }
  location /show-file { alias html/404.html; }
  location /refresh-here { msie_refresh on; return 301 /there; }
  location /refresh { msie_refresh on; return 301 "http://example.org/a b"; }
  location /https { error_page 497 https://$host$request_uri; return 497; }
  location /tokens { server_tokens off; return 404; }
  location /silent { error_page 404 /cut; }
  location /cut { return 444; }
  location /late { error_page 408 /show; return 408; }
  location /left { return 499; }
  location /status { error_page 404 /seen; error_page 405 =200 /seen; if ($arg_not) { return 405; } return 404; }
  location /seen { return 200 "seen $status"; }
  location /redirected { error_page 301 /show; return 301 /there; }
  location /twice { error_page 301 /elsewhere; recursive_error_pages on; return 301; }
  location /elsewhere { return 302 http://example.org/; }
  location /nowhere { error_page 404 $arg_none; return 404; }
  location /refused { error_page 302 =404 /cannot; return 302 /there; }
  location /cannot { return 404; }
  `,
  "log_format seen '$request_uri $status $body_bytes_sent';",
  { files: { 'html/404.html': 'gone', 'html/400.html': 'bad' } },
)

const ask = (path: string, headers = {}): Promise<Response> => get(server.port, path, headers)

async function answer(path: string): Promise<string> {
  const response = await ask(path)
  return `${response.status} ${response.text}`
}

test('a page keeps the status of the error, takes its own for "=", or that which is written', async () => {
  assert.equal(await answer('/own/x'), '404 gone')
  assert.equal(await answer('/page/x'), '200 /show x=/page/x GET')
  assert.equal(await answer('/ok/x'), '200 gone')
})

test('the first rule for a status counts', async () => {
  assert.equal(await answer('/first/x'), '404 gone')
})

test('a page of ours is fetched with GET, a named location sees method and URI as they were', async () => {
  const post = (path: string): Promise<Response> => request({ address: server.port, path, method: 'POST', body: 'abc' })
  assert.equal((await post('/page/x')).text, '/show x=/page/x GET')
  assert.equal((await post('/named/x?a=1')).text, '/named/x a=1 POST')
})

test('a named location that does not exist is an internal error', async () => {
  assert.equal((await ask('/missing/x')).status, 500)
  assert.match(server.errorLog(), /could not find named location "@nowhere", client: 127\.0\.0\.1/)
})

test('another host gets a redirect, 302 unless another one is written', async () => {
  const away = await ask('/away/x')
  assert.equal(away.status, 302)
  assert.equal(away.header('location'), 'http://example.org/')
  const moved = await ask('/moved/x')
  assert.equal(moved.status, 301)
  assert.equal(moved.header('location'), 'http://example.org/moved/x')
})

test('an error of the error page gets the built-in one, unless recursive_error_pages is on', async () => {
  const once = await ask('/once/x')
  assert.equal(once.status, 403)
  assert.match(once.text, /<h1>403 Forbidden<\/h1>/)
  assert.equal(await answer('/again/x'), '200 /show  GET')
})

test('error pages that go in circles end with 500', async () => {
  assert.equal((await ask('/circle/x')).status, 500)
  assert.match(server.errorLog(), /rewrite or internal redirection cycle while internally redirecting to "\/circle\/2"/)
})

test('what is wrong before there is a location gets the page of the server', async () => {
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n', 'nonsense\r\n\r\n']) {
    const client = await raw(file, server.port)
    await client.send(bytes)
    const response = await client.response()
    assert.equal(`${response.status} ${response.text}`, '400 bad', bytes)
    assert.equal(response.header('connection'), 'close')
  }
})

test('a body that is too large has an error page, too, which does not see it', async () => {
  for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }]) {
    const body = 'Transfer-Encoding' in headers ? `14\r\n${'a'.repeat(20)}\r\n0\r\n\r\n` : 'a'.repeat(20)
    const response = await request({ address: server.port, path: '/large', method: 'POST', headers, body })
    assert.equal(response.status, 413)
  }
})

test('conditions and ranges of the request are not about its error page', async () => {
  const response = await ask('/own/x', { Range: 'bytes=0-1', 'If-None-Match': '*' })
  assert.equal(`${response.status} ${response.text}`, '404 gone')
  assert.equal(response.header('last-modified'), null)
  const part = await ask('/ok/x', { Range: 'bytes=0-1' })
  assert.equal(`${part.status} ${part.text}`, '206 go')
  // In logs it is the status that the configuration says.
  await eventually(() => /^\/ok\/x 200 2$/m.test(readFileSync(join(server.dir, 'status.log'), 'latin1')))
})

test('a range that the page for 416 does not have either is told of once', async () => {
  const response = await ask('/beyond/404.html', { Range: 'bytes=900-' })
  assert.deepEqual([response.status, response.header('content-range')], [416, 'bytes */4'])
})

test('497 is shown as 400, or leads to https', async () => {
  const response = await ask('/https?a=1')
  assert.equal(response.status, 302)
  assert.equal(response.header('location'), 'https://localhost/https?a=1')
})

test('browsers with error pages of their own get longer ones', async () => {
  const usual = (await ask('/nothing')).text.length
  const agents = ['Mozilla/4.0 (compatible; MSIE 8.0)', 'Mozilla/5.0 (KHTML, like Gecko) Chrome/99']
  for (const agent of agents)
    assert.ok((await ask('/nothing', { 'User-Agent': agent })).text.length > Math.max(512, usual))
  assert.ok((await ask('/padding', { 'User-Agent': agents[0]! })).text.length < 512)
})

test('msie_refresh: a redirect is a page for the one browser', async () => {
  assert.equal((await ask('/refresh')).status, 301)
  const response = await ask('/refresh', { 'User-Agent': 'MSIE 6.0' })
  assert.equal(response.status, 200)
  assert.match(response.text, /URL=http:\/\/example\.org\/a%20b"/)
  assert.equal(response.header('location'), null)
  assert.match((await ask('/refresh-here', { 'User-Agent': 'MSIE 6.0' })).text, /URL=\/there"/)
})

test('server_tokens: name and version, or the name alone', async () => {
  const on = await ask('/nothing')
  assert.match(on.header('server')!, /^nginx\/\d+\.\d+\.\d+$/)
  assert.match(on.text, /<center>nginx\/\d/)
  const off = await ask('/tokens')
  assert.equal(off.header('server'), 'nginx')
  assert.match(off.text, /<center>nginx<\/center>/)
})

test('444 as an error page closes the connection', async () => {
  const client = await raw(file, server.port)
  await client.send('GET /silent/x HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal(await client.closed(), '')
})

test('408 and 499 have no answer, and no page', async () => {
  for (const path of ['/late', '/left']) {
    const client = await raw(file, server.port)
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    assert.equal(await client.closed(), '')
  }
})

test('$status in a page is the status it comes with', async () => {
  assert.equal(await answer('/status'), '404 seen 404')
  assert.equal(await answer('/status?not=1'), '200 seen 200')
})

test('a redirect whose page is an error keeps its place, whatever the status has become', async () => {
  const response = await ask('/refused')
  assert.deepEqual([response.status, response.header('location')], [404, `http://localhost:${server.port}/there`])
})

test('a redirect whose page is shown still leads to this server', async () => {
  const response = await ask('/redirected')
  assert.equal(response.status, 301)
  assert.match(response.header('location')!, /^http:\/\/[^/]+\/there$/)
})

test('of two redirects the second counts, and one to nowhere says so', async () => {
  const places = ({ headers }: Response): string[] =>
    headers.filter(([name]) => name.toLowerCase() === 'location').map(([, value]) => value)
  assert.deepEqual(places(await ask('/twice')), ['http://example.org/'])
  const nowhere = await ask('/nowhere')
  assert.equal(nowhere.status, 302)
  assert.deepEqual(places(nowhere), [''])
})

test('of a response whose precondition failed nothing is left on its error page', async () => {
  assert.notEqual((await ask('/unmatched')).header('etag'), null)
  const response = await ask('/unmatched', { 'If-Match': '"other"' })
  assert.equal(response.status, 412)
  assert.equal(response.header('etag'), null)
  assert.equal(response.header('last-modified'), null)
  assert.match((await ask('/moved-here')).header('location')!, /\/there$/)
  const moved = await ask('/moved-here', { 'If-Match': '"other"' })
  assert.deepEqual([moved.status, moved.header('location')], [412, null])
})
