import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { eventually, origin, raw, reply, request, type Response } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const PAGE = 'a page that says one thing again and again. '.repeat(200)
/** More than fits into one piece, and does not shrink to nothing. */
const BIG = Array.from({ length: 60_000 }, (_, i) => `line ${(i * 7919) % 10_007}\n`).join('')
const files = { 'html/page.html': PAGE, 'html/big.html': BIG, 'html/short.html': 'short', 'html/data.json': PAGE }
const types = 'types { text/html html; application/json json; }'

interface Ask {
  readonly path?: string
  readonly accept?: string
  readonly headers?: Record<string, string>
  readonly method?: string
}

function ask(port: number, { path = '/page.html', accept = 'gzip', headers = {}, method = 'GET' }: Ask = {}) {
  return request({ address: port, path, method, headers: { 'Accept-Encoding': accept, ...headers } })
}

function coding(response: Response): string | null {
  return response.header('content-encoding')
}

test('a page is compressed for a client that takes gzip, and for no other', async t => {
  const { port } = await serveHttp(t, 'root html; gzip on; gzip_vary on;', types, { files })
  const packed = await ask(port)
  assert.equal(coding(packed), 'gzip')
  assert.equal(gunzipSync(packed.body).toString(), PAGE)
  assert.equal(packed.header('content-length'), null)
  assert.equal(packed.header('accept-ranges'), null)
  assert.equal(packed.header('vary'), 'Accept-Encoding')
  assert.match(packed.header('etag')!, /^W\/"/)
  const plain = await ask(port, { accept: 'identity' })
  assert.equal(plain.text, PAGE)
  assert.equal(coding(plain), null)
  assert.equal(plain.header('vary'), 'Accept-Encoding')
  assert.match(plain.header('etag')!, /^"/)
})

test('what is short or of another type is left alone; parts are those of the plain form; HEAD tells what GET would', async t => {
  const { port } = await serveHttp(t, 'root html; gzip on;', types, { files })
  assert.equal(coding(await ask(port, { path: '/short.html' })), null)
  assert.equal(coding(await ask(port, { path: '/data.json' })), null)
  const part = await ask(port, { headers: { Range: 'bytes=2-5' }, accept: '' })
  assert.deepEqual([part.status, coding(part), part.text], [206, null, PAGE.slice(2, 6)])
  // Its bytes would be counted in a form that the client does not get.
  const whole = await ask(port, { headers: { Range: 'bytes=2-5' } })
  assert.deepEqual([whole.status, coding(whole)], [200, 'gzip'])
  const head = await ask(port, { method: 'HEAD' })
  assert.deepEqual([coding(head), head.header('content-length'), head.body.length], ['gzip', null, 0])
})

test("a part that an upstream gives is nobody's to compress, and does not vary", async t => {
  const app = await origin(t, (_asked, socket) => {
    socket.end(
      'HTTP/1.1 206 Partial Content\r\nContent-Type: text/html\r\nContent-Range: bytes 0-2/90\r\nContent-Length: 3\r\n\r\nabc',
    )
  })
  const { port } = await serveHttp(
    t,
    `gzip on; gzip_vary on; gzip_min_length 1; location / { proxy_pass http://127.0.0.1:${app.port}; }`,
  )
  const part = await ask(port, { path: '/' })
  assert.deepEqual([part.status, coding(part), part.header('vary')], [206, null, null])
})

test('a big file is compressed piece by piece, for a reader of any speed', async t => {
  const { port } = await serveHttp(t, 'root html; gzip on; gzip_comp_level 9;', types, { files })
  assert.equal(gunzipSync((await ask(port, { path: '/big.html' })).body).toString(), BIG)
  const slow = await raw(t, port)
  await slow.send('GET /big.html HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n')
  slow.socket.pause()
  await new Promise(resolve => setImmediate(resolve))
  slow.socket.resume()
  assert.equal(gunzipSync((await slow.response()).body).toString(), BIG)
})

test('gzip_types, gzip_min_length, gzip_http_version and gzip_disable draw the line elsewhere', async t => {
  const { port } = await serveHttp(
    t,
    `root html; gzip on; gzip_types application/json; gzip_min_length 3; gzip_http_version 1.0;
     gzip_disable "^Old";
     location /any/ { alias html/; gzip_types *; gzip_min_length 10k; }`,
    types,
    { files },
  )
  assert.equal(coding(await ask(port, { path: '/data.json' })), 'gzip')
  assert.equal(coding(await ask(port, { path: '/short.html' })), 'gzip')
  assert.equal(coding(await ask(port, { headers: { 'User-Agent': 'old thing' } })), null)
  assert.equal(coding(await ask(port, { path: '/any/page.html' })), null)
  const old = await raw(t, port)
  await old.send('GET /page.html HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n')
  assert.equal(gunzipSync((await old.response()).body).toString(), PAGE)
})

test('gzip_proxied: a proxy is told only what it would not keep', async t => {
  const { port } = await serveHttp(
    t,
    `root html; gzip on;
     location /any/ { alias html/; gzip_proxied any; }
     location /expired/ { alias html/; gzip_proxied expired auth; expires -1; }
     location /store/ { alias html/; gzip_proxied no-store; add_header Cache-Control "private, no-store"; }
     location /etag/ { alias html/; gzip_proxied no_etag; }`,
    types,
    { files },
  )
  const via = async (path: string): Promise<string | null> =>
    coding(await ask(port, { path: `${path}page.html`, headers: { Via: '1.1 a' } }))
  assert.deepEqual(
    [await via('/'), await via('/any/'), await via('/expired/'), await via('/store/'), await via('/etag/')],
    [null, 'gzip', 'gzip', 'gzip', null],
  )
})

test('an upstream that compresses is not compressed again, and $gzip_ratio tells what was won', async t => {
  const app = await origin(t, asked =>
    asked.target === '/packed'
      ? reply('packed', { 'Content-Encoding': 'br', 'Content-Type': 'text/html' })
      : reply(PAGE, { 'Content-Type': 'text/html; charset=utf-8' }),
  )
  const { port, dir } = await serveHttp(
    t,
    `gzip on; gzip_min_length 0; gzip_proxied any; location / { proxy_pass http://127.0.0.1:${app.port}; access_log ratio.log ratio; }`,
    'log_format ratio "$uri $gzip_ratio";',
  )
  assert.equal(coding(await ask(port, { path: '/packed' })), 'br')
  assert.equal(gunzipSync((await ask(port, { path: '/plain' })).body).toString(), PAGE)
  const log = join(dir, 'ratio.log')
  await eventually(() => /^\/packed -\n\/plain [1-9][0-9]+\.[0-9]{2}\n$/.test(readFileSync(log, 'latin1')))
})

test('among brotli, zstd and gzip a client gets what it wants most', async t => {
  const { port } = await serveHttp(t, 'root html; gzip on; brotli on; zstd on; zstd_types application/json;', types, {
    files,
  })
  const br = await ask(port, { accept: 'gzip, deflate, br' })
  assert.equal(coding(br), 'br')
  assert.equal(brotliDecompressSync(br.body).toString(), PAGE)
  assert.equal(coding(await ask(port, { accept: 'gzip;q=0.9, br;q=0.5' })), 'gzip')
  assert.equal(coding(await ask(port, { accept: 'zstd;q=0.1, br;q=0, gzip;q=0.2' })), 'gzip')
  const zstd = await ask(port, { path: '/data.json', accept: 'br, zstd' })
  assert.equal(coding(zstd), 'zstd')
  assert.equal(zstdDecompressSync(zstd.body).toString(), PAGE)
  assert.equal(coding(await ask(port, { accept: 'br;q=0, gzip;q=0.0' })), null)
})

test('many responses one after the other come out of engines that serve again', async t => {
  const { port } = await serveHttp(t, 'root html; gzip on; gzip_comp_level 4; gzip_window 4k; gzip_hash 16k;', types, {
    files,
  })
  const client = await raw(t, port)
  for (let i = 0; i < 20; i++) {
    const path = i % 3 === 0 ? '/big.html' : '/page.html'
    const response = await client.request({ path, headers: { 'Accept-Encoding': 'gzip' } })
    assert.equal(gunzipSync(response.body).toString(), i % 3 === 0 ? BIG : PAGE)
  }
})

test('a size zlib does not have is refused', async t => {
  await assert.rejects(
    serveHttp(t, 'gzip_window 3k;'),
    /"gzip_window" directive must be 512, 1k, 2k, 4k, 8k, 16k, or 32k/,
  )
  await assert.rejects(serveHttp(t, 'gzip_comp_level 10;'), /value must be between 1 and 9/)
})
