import assert from 'node:assert/strict'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { origin, request, type Response } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const types = 'types { text/html html; text/css css; }'
const files = { 'h/a.html': 'One two one Three', 'h/a.css': 'one' }

function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return request({ address: port, path, headers })
}

test('each text is replaced once, whatever its case, or wherever it stands', async t => {
  const { port } = await serveHttp(
    t,
    `root h; sub_filter one [$uri]; sub_filter THREE "";
     location /all/ { alias h/; sub_filter one 1; sub_filter_once off; }
     location /any/ { alias h/; sub_filter $arg_x y; sub_filter_types *; sub_filter_last_modified on; }`,
    types,
    { files },
  )
  const first = await ask(port, '/a.html')
  assert.equal(first.text, '[/a.html] two one ')
  assert.deepEqual(
    ['content-length', 'last-modified', 'etag', 'accept-ranges'].map(name => first.header(name)),
    [null, null, null, null],
  )
  assert.equal((await ask(port, '/all/a.html')).text, '1 two 1 Three')
  assert.equal((await ask(port, '/a.css')).text, 'one')
  const any = await ask(port, '/any/a.css?x=n')
  assert.equal(any.text, 'oye')
  assert.ok(any.header('last-modified') !== null)
  assert.match(any.header('etag')!, /^W\//)
  assert.equal((await ask(port, '/any/a.css')).text, 'one')
})

test('a part of what is going to be altered is not promised', async t => {
  const { port } = await serveHttp(t, 'root h; sub_filter one 1;', types, { files })
  assert.deepEqual([(await ask(port, '/a.html', { Range: 'bytes=0-3' })).status], [200])
  assert.equal((await ask(port, '/a.css', { Range: 'bytes=0-1' })).status, 206)
})

test('a text is found across the pieces of a body, and compressed after that', async t => {
  const app = await origin(t, (_asked, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\nab')
    setImmediate(() => socket.write('cde ab', () => setImmediate(() => socket.end('x'.repeat(50)))))
  })
  const { port } = await serveHttp(
    t,
    `gzip on; gzip_proxied any; sub_filter abcd "<$uri>"; sub_filter_once off; proxy_buffering off;
     location / { proxy_pass http://127.0.0.1:${app.port}; }`,
    types,
  )
  const response = await ask(port, '/p', { 'Accept-Encoding': 'gzip' })
  assert.equal(gunzipSync(response.body).toString(), `</p>e ab${'x'.repeat(50)}`)
})

test('an empty pattern is refused', async t => {
  await assert.rejects(serveHttp(t, 'sub_filter "" x;'), /empty search pattern/)
})

test("an upstream's word on ranges goes on", async t => {
  const app = await origin(t, (_asked, socket) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAccept-Ranges: bytes\r\nContent-Length: 3\r\n\r\none')
  })
  const { port } = await serveHttp(t, `sub_filter one 1; location / { proxy_pass http://127.0.0.1:${app.port}; }`)
  const replaced = await ask(port, '/')
  assert.deepEqual([replaced.text, replaced.header('accept-ranges')], ['1', 'bytes'])
})
