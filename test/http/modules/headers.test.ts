import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { parseExpires } from '../../../src/http/modules/headers.ts'
import { parseHttpDate } from '../../../src/lib/http-date.ts'
import { eventually, request, serve, type Response, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(file, {
  files: { 'html/a': 'a' },
  conf: `
      http {
        add_header X-Http h;
        log_format trailer "$sent_trailer_x_length";
        log_format location "$sent_http_location";
        server {
          listen 127.0.0.1:%%PORT_0%%;
          add_header X-Server $uri;
          location /inherit { return 200; }
          location /own { add_header X-Own o; return 200; }
          location /merge { add_header_inherit merge; add_header X-Own o; return 200; }
          location /off { add_header_inherit off; return 200; }
          location /error { add_header X-Ok o; add_header X-Always a always; return 404; }
          location /empty { add_header X-Empty $arg_x; return 200; }
          location /a { add_header Last-Modified ""; add_header ETag '"own"'; }
          location /epoch { expires epoch; return 200; }
          location /max { expires max; return 200; }
          location /hour { expires 1h; add_header Cache-Control public; return 200; }
          location /past { expires -1; return 200; }
          location /daily { expires @12h30m; return 200; }
          location /trailer-file { alias html/a; add_trailer X-Uri $uri; }
          location /modified { alias html/a; expires modified 1h; }
          location /dynamic { expires $arg_e; return 200; }
          location /bad { expires 1h; return 500; }
          location /trailer { access_log trailer.log trailer; add_trailer X-Length $body_bytes_sent; add_trailer X-Empty ""; return 200 abc; }
          location /redirect { access_log location.log location; add_header X-To $sent_http_location always; return 301 /there; }
          location /trailer-error { add_trailer X-Ok o; add_trailer X-Always a always; return 404; }
        }
      }`,
})

const ask = (path: string): Promise<Response> => request({ address: server.port, path })

test('add_header: inner headers replace the outer ones, unless add_header_inherit says otherwise', async () => {
  const fields = async (path: string): Promise<unknown[]> => {
    const response = await ask(path)
    return ['x-http', 'x-server', 'x-own'].map(name => response.header(name))
  }
  assert.deepEqual(await fields('/inherit'), [null, '/inherit', null])
  assert.deepEqual(await fields('/own'), [null, null, 'o'])
  assert.deepEqual(await fields('/merge'), [null, '/merge', 'o'])
  assert.deepEqual(await fields('/off'), [null, null, null])
})

test('add_header: on errors only with always, and never empty', async () => {
  const error = await ask('/error')
  assert.equal(error.header('x-ok'), null)
  assert.equal(error.header('x-always'), 'a')
  assert.equal((await ask('/empty')).header('x-empty'), null)
  assert.equal((await ask('/empty?x=1')).header('x-empty'), '1')
})

test('add_header: Last-Modified and ETag are set, not added', async () => {
  const response = await ask('/a')
  assert.equal(response.header('last-modified'), null)
  assert.equal(response.header('etag'), '"own"')
})

test('expires: fixed, relative and past times', async () => {
  const both = async (path: string): Promise<unknown[]> => {
    const response = await ask(path)
    return [response.header('expires'), response.header('cache-control')]
  }
  assert.deepEqual(await both('/epoch'), ['Thu, 01 Jan 1970 00:00:01 GMT', 'no-cache'])
  assert.deepEqual(await both('/max'), ['Thu, 31 Dec 2037 23:55:55 GMT', 'max-age=315360000'])
  assert.equal((await both('/past'))[1], 'no-cache')
  assert.deepEqual(await both('/dynamic'), [null, null])
  assert.deepEqual(await both('/dynamic?e=off'), [null, null])
  assert.equal((await both('/dynamic?e=10'))[1], 'max-age=10')
  assert.deepEqual(await both('/bad'), [null, null])
  const hour = await ask('/hour')
  assert.equal(hour.header('cache-control'), 'max-age=3600, public')
  assert.equal(parseHttpDate(hour.header('expires')!) - parseHttpDate(hour.header('date')!), 3600)
})

test('expires: a time of day, and from the modification', async () => {
  const daily = new Date((await ask('/daily')).header('expires')!)
  assert.deepEqual([daily.getHours(), daily.getMinutes(), daily.getSeconds()], [12, 30, 0])
  assert.ok(daily.getTime() > Date.now() - 1000)
  const modified = await ask('/modified')
  assert.equal(parseHttpDate(modified.header('expires')!) - parseHttpDate(modified.header('last-modified')!), 3600)
})

test('expires: what it may say', () => {
  assert.deepEqual(parseExpires('off', false), { kind: 'off', seconds: 0 })
  assert.deepEqual(parseExpires('+1h', true), { kind: 'modified', seconds: 3600 })
  assert.deepEqual(parseExpires('-2m', false), { kind: 'access', seconds: -120 })
  assert.deepEqual(parseExpires('@24h', false), { kind: 'daily', seconds: 86400 })
  assert.equal(parseExpires('@25h', false), 'daily time value must be less than 24 hours')
  assert.equal(parseExpires('@1h', true), 'daily time cannot be used with "modified" parameter')
  assert.equal(parseExpires('epoch', true), 'invalid value')
  assert.equal(parseExpires('', false), 'invalid value')
})

test('add_trailer: behind a chunked body, known when that has been sent', async () => {
  const response = await ask('/trailer')
  assert.equal(response.body.toString(), 'abc')
  assert.equal(response.header('transfer-encoding'), 'chunked')
  assert.deepEqual(response.trailers, [['X-Length', '3']])
  await eventually(() => server.file('trailer.log') === '3\n')
  assert.deepEqual((await ask('/trailer-error')).trailers, [['X-Always', 'a']])
  const old = await request({ address: server.port, path: '/trailer', version: '1.0' })
  assert.deepEqual([old.body.toString(), old.trailers], ['abc', []])
})

test('add_trailer: parts can be asked for all the same', async () => {
  const ask = (range: string): Promise<Response> =>
    request({ address: server.port, path: '/trailer-file', headers: { Range: range } })
  assert.equal((await request({ address: server.port, path: '/trailer-file' })).header('accept-ranges'), 'bytes')
  const part = await ask('bytes=0-0')
  assert.deepEqual([part.status, part.text, part.header('content-range')], [206, 'a', 'bytes 0-0/1'])
  assert.deepEqual(part.trailers, [['X-Uri', '/trailer-file']])
  const none = await ask('bytes=5-')
  assert.deepEqual([none.status, none.trailers], [416, []])
})

test('where a redirect leads to is seen as it was written', async () => {
  const response = await ask('/redirect')
  assert.equal(response.header('x-to'), '/there')
  const location = `http://localhost:${server.port}/there`
  assert.equal(response.header('location'), location)
  await eventually(() => server.file('location.log') === `${location}\n`)
})
