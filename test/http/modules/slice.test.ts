import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, origin, request } from '../../helpers/index.ts'
import { specialPage } from '../../../src/http/special-response.ts'
import { serveHttp } from '../../helpers/http.ts'

const text = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i)).join('')

const location = (port: number, more = ''): string =>
  `location / { slice 10; ${more} proxy_pass http://127.0.0.1:${port}; proxy_set_header Range $slice_range; }`

/** An upstream that gives ranges of the alphabet, and what it was asked for. */
async function alphabet(t: test.TestContext, change = (range: string, head: string): string => head) {
  const asked: string[] = []
  const { port } = await origin(t, (message, socket) => {
    const range = /\r\nRange: bytes=(\d+)-(\d+)/i.exec(message.head)!
    asked.push(`${range[1]}-${range[2]}`)
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, text.length)]
    const head =
      `HTTP/1.1 206 Partial Content\r\nETag: "e"\r\nContent-Length: ${end - start}\r\n` +
      `Content-Range: bytes ${start}-${end - 1}/${text.length}\r\nConnection: close\r\n\r\n`
    socket.end(change(range[1]!, head) + text.slice(start, end))
  })
  return { port, asked }
}

test('the whole is put together from parts', async t => {
  const { port, asked } = await alphabet(t)
  const server = await serveHttp(t, location(port), '', { files: { 'proxy_temp/x': '' } })
  const whole = await request({ address: server.port, path: '/' })
  assert.deepEqual([whole.status, whole.text, whole.header('content-length')], [200, text, '26'])
  assert.deepEqual([whole.header('accept-ranges'), whole.header('content-range')], ['bytes', null])
  assert.deepEqual(asked, ['0-9', '10-19', '20-29'])
})

test('a range is cut out of the parts it lies in', async t => {
  const { port, asked } = await alphabet(t)
  const server = await serveHttp(t, location(port), '', { files: { 'proxy_temp/x': '' } })
  const get = async (range: string) => {
    asked.length = 0
    const response = await request({ address: server.port, path: '/', headers: { Range: range } })
    return [response.status, response.text, response.header('content-range'), asked.join()]
  }
  assert.deepEqual(await get('bytes=12-14'), [206, 'mno', 'bytes 12-14/26', '10-19'])
  assert.deepEqual(await get('bytes=8-11'), [206, 'ijkl', 'bytes 8-11/26', '0-9,10-19'])
  assert.deepEqual(await get('bytes=-2'), [206, 'yz', 'bytes 24-25/26', '0-9,20-29'])
  assert.deepEqual(await get('bytes=25-'), [206, 'z', 'bytes 25-25/26', '20-29'])
  assert.deepEqual(await get('bytes=1-2,4-5'), [200, text, null, '0-9,10-19,20-29'])
  const page = specialPage(416, 'nginx/1.31.5')
  assert.deepEqual(await get('bytes=x'), [416, page, 'bytes */26', '0-9'])
})

test('filters see the whole, and no range of what they alter is given', async t => {
  const { port } = await alphabet(t)
  const filter = 'sub_filter jk J; sub_filter_types *;'
  const server = await serveHttp(t, location(port, filter), '', { files: { 'proxy_temp/x': '' } })
  const asked = { address: server.port, path: '/', headers: { Range: 'bytes=12-14' } }
  const { status, text: got } = await request(asked)
  assert.deepEqual([status, got], [200, text.replace('jk', 'J')])
})

test('parts of something else end the response', async t => {
  for (const [from, to, why] of [
    ['"e"', '"f"', 'etag mismatch in slice response'],
    ['/26', '/*', 'no complete length in slice response'],
    ['bytes 10', 'bytes 11', 'unexpected range in slice response'],
    ['206 Partial', '200 OK', 'unexpected status code 200 in slice response'],
    ['Content-Range', 'X', 'invalid range in slice response'],
  ] as const) {
    const { port } = await alphabet(t, (start, head) => (start === '10' ? head.replace(from, to) : head))
    const server = await serveHttp(t, location(port), '', { files: { 'proxy_temp/x': '' } })
    await assert.rejects(request({ address: server.port, path: '/' }), why)
    assert.ok(server.errorLog().includes(why), why)
  }
})

test('parts are cached, each by itself', async t => {
  const { port, asked } = await alphabet(t)
  const cached = `proxy_cache one; proxy_cache_key $uri$slice_range; proxy_cache_valid 206 1m;`
  const server = await serveHttp(t, location(port, cached), 'proxy_cache_path cache keys_zone=one:1m;', {
    files: { 'cache/x': '', 'proxy_temp/x': '' },
  })
  const get = async (headers: Record<string, string> = {}, method = 'GET') => {
    asked.length = 0
    const response = await request({ address: server.port, path: '/', headers, method })
    return [response.status, response.text, response.header('content-length'), asked.join()]
  }
  assert.deepEqual(await get({ Range: 'bytes=12-14' }), [206, 'mno', '3', '10-19'])
  assert.deepEqual(await get({ Range: 'bytes=5-15' }), [206, 'fghijklmnop', '11', '0-9'])
  assert.deepEqual(await get(), [200, text, '26', '20-29'])
  assert.deepEqual(await get(), [200, text, '26', ''])
  assert.deepEqual(await get({ Range: 'bytes=-3' }), [206, 'xyz', '3', ''])
  assert.deepEqual(await get({ 'If-None-Match': '"e"' }), [304, '', null, ''])
  assert.deepEqual(await get({ 'If-Range': '"x"', Range: 'bytes=1-2' }), [200, text, '26', ''])
  assert.deepEqual(await get({ 'If-Range': '"e"', Range: 'bytes=11-12' }), [206, 'lm', '2', ''])
  assert.deepEqual(await get({}, 'HEAD'), [200, '', '26', ''])
})

test('where parts are cached, conditions are met for the whole', async t => {
  const { port, asked } = await alphabet(t)
  const server = await serveHttp(
    t,
    location(port, 'proxy_cache one; proxy_cache_key $uri$slice_range; proxy_cache_valid 1m; gzip on; gzip_types *;'),
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  const get = async (headers: Record<string, string>, path = '/') => {
    const { status, text: got } = await request({ address: server.port, path, headers })
    return [status, got]
  }
  const failed = [412, specialPage(412, 'nginx/1.31.5')]
  assert.deepEqual(await get({ 'If-Match': '"x"' }), failed)
  assert.deepEqual(await get({ 'If-Match': '"x"', Range: 'bytes=12-14' }), failed)
  assert.deepEqual(await get({ 'If-Unmodified-Since': 'Mon, 28 Sep 1970 06:00:00 GMT' }), failed)
  assert.deepEqual(await get({ 'If-None-Match': '"e"' }), [304, ''])
  assert.deepEqual(await get({ 'If-Match': '"e"', Range: 'bytes=12-14' }), [206, 'mno'])
  assert.deepEqual(await get({ 'If-Range': '"e"', Range: 'bytes=12-14' }, '/b'), [206, 'mno'])
  assert.deepEqual(await get({ 'If-Range': '"f"', Range: 'bytes=12-14' }, '/b'), [200, text])
  assert.ok(asked.length >= 6)
})

test('a condition on parts that are not kept is not ours to weigh', async t => {
  const { port } = await alphabet(t)
  const server = await serveHttp(t, location(port), '', { files: { 'proxy_temp/x': '' } })
  const { status } = await request({ address: server.port, path: '/', headers: { 'If-Match': '"x"' } })
  assert.equal(status, 200)
})

test('a range that no number holds begins at the first part; max_ranges 0 goes for slices, too', async t => {
  const { port, asked } = await alphabet(t)
  const server = await serveHttp(t, location(port), '', { files: { 'proxy_temp/x': '' } })
  const far = await request({ address: server.port, path: '/', headers: { Range: `bytes=${'9'.repeat(20)}-` } })
  assert.deepEqual([far.status, asked], [416, ['0-9']])
  const none = await serveHttp(t, location(port, 'max_ranges 0;'), '', { files: { 'proxy_temp/x': '' } })
  const whole = await request({ address: none.port, path: '/', headers: { Range: 'bytes=1-2' } })
  assert.deepEqual([whole.status, whole.text, whole.header('accept-ranges')], [200, text, null])
})

test('$slice_range is nothing once all parts are there', async t => {
  const { port } = await alphabet(t)
  const log = 'access_log logs/a how;'
  const server = await serveHttp(t, location(port, log), 'log_format how "<$slice_range>";', {
    files: { 'proxy_temp/x': '' },
  })
  await request({ address: server.port, path: '/' })
  await eventually(() => readFileSync(join(server.dir, 'logs/a'), 'latin1') === '<->\n')
})

test('a part that is refused is not put down to the client', async t => {
  const { port } = await alphabet(t, (_, head) => head.replace('/26', '/*'))
  const server = await serveHttp(t, location(port), '', { files: { 'proxy_temp/x': '' } })
  await assert.rejects(request({ address: server.port, path: '/' }))
  const log = server.errorLog()
  assert.match(log, /no complete length in slice response/)
  assert.doesNotMatch(log, /client prematurely closed/)
})
