import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { brotliCompressSync, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { raw, request, type Response } from '../../helpers/index.ts'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import type { Scope } from '../../helpers/scope.ts'

const PAGE = 'the page itself\n'.repeat(20_000)

async function packed(t: Scope, body: string): Promise<HttpServer> {
  const server = await serveHttp(t, body, 'types { text/html html; }', {
    files: { 'html/page.html': 'the plain one', 'html/only.txt': '', 'html/cut.html': '' },
  })
  const path = (name: string): string => join(server.dir, 'html', name)
  writeFileSync(path('page.html.gz'), gzipSync(PAGE))
  writeFileSync(path('page.html.br'), brotliCompressSync(PAGE))
  writeFileSync(path('page.html.zst'), zstdCompressSync(PAGE))
  writeFileSync(path('cut.html.gz'), gzipSync(PAGE).subarray(0, 200))
  return server
}

function ask(port: number, path: string, accept: string): Promise<Response> {
  return request({ address: port, path, headers: { 'Accept-Encoding': accept } })
}

test('gzip_static: the twin for who takes it, the file for others, and Vary for all', async t => {
  const { port } = await packed(t, 'root html; gzip_static on; gzip_vary on;')
  const twin = await ask(port, '/page.html', 'gzip')
  assert.equal(twin.header('content-encoding'), 'gzip')
  assert.equal(twin.header('content-type'), 'text/html')
  assert.equal(twin.header('content-length'), `${gzipSync(PAGE).length}`)
  assert.equal(gunzipSync(twin.body).toString(), PAGE)
  const plain = await ask(port, '/page.html', 'identity')
  assert.deepEqual([plain.text, plain.header('vary')], ['the plain one', 'Accept-Encoding'])
  const only = await ask(port, '/only.txt', 'gzip')
  assert.deepEqual([only.status, only.header('content-encoding'), only.header('vary')], [200, null, null])
})

test('brotli_static and zstd_static come before gzip_static', async t => {
  const { port } = await packed(t, 'root html; gzip_static on; brotli_static on; zstd_static on;')
  const coding = async (accept: string): Promise<string | null> =>
    (await ask(port, '/page.html', accept)).header('content-encoding')
  assert.equal(await coding('gzip, br, zstd'), 'br')
  assert.equal(await coding('gzip, zstd'), 'zstd')
  assert.equal(await coding('gzip, br;q=0'), 'gzip')
  assert.equal(await coding(''), null)
})

test('a twin is a file like others: conditions and ranges', async t => {
  const { port } = await packed(t, 'root html; gzip_static on;')
  const { body, headers } = await ask(port, '/page.html', 'gzip')
  const etag = headers.find(([name]) => name === 'ETag')![1]
  const again = await request({
    address: port,
    path: '/page.html',
    headers: { 'Accept-Encoding': 'gzip', 'If-None-Match': etag },
  })
  assert.equal(again.status, 304)
  const part = await request({
    address: port,
    path: '/page.html',
    headers: { 'Accept-Encoding': 'gzip', Range: 'bytes=1-4' },
  })
  assert.deepEqual([part.status, part.body], [206, body.subarray(1, 5)])
})

test('gunzip: what is only there compressed is unpacked for who cannot', async t => {
  const { port } = await packed(t, 'root html; gzip_static always; gunzip on;')
  const plain = await ask(port, '/page.html', 'identity')
  assert.deepEqual([plain.header('content-encoding'), plain.header('content-length')], [null, null])
  assert.equal(plain.text, PAGE)
  assert.match(plain.header('etag')!, /^W\//)
  assert.equal((await ask(port, '/page.html', 'gzip')).header('content-encoding'), 'gzip')
  const part = await request({ address: port, path: '/page.html', headers: { Range: 'bytes=0-3' } })
  assert.deepEqual([part.status, part.text], [200, PAGE])
})

test('gunzip: a body that ends too early does not look whole', async t => {
  const server = await packed(t, 'root html; gzip_static always; gunzip on;')
  await assert.rejects(ask(server.port, '/cut.html', 'identity'))
  assert.match(server.errorLog(), /inflate\(\) failed: unexpected end of file/)
})

test('gunzip: what came before a missing end goes out', async t => {
  const server = await packed(t, 'root html; gzip_static always; gunzip on;')
  writeFileSync(join(server.dir, 'html', 'cut.html.gz'), gzipSync('all but the checksum').subarray(0, -8))
  const client = await raw(t, server.port)
  await client.send('GET /cut.html HTTP/1.1\r\nHost: a\r\n\r\n')
  const text = await client.closed()
  assert.match(text, /^HTTP\/1.1 200 OK\r\n/)
  assert.match(text, /\r\n\r\n14\r\nall but the checksum\r\n$/)
})
