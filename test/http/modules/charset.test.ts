import assert from 'node:assert/strict'
import test from 'node:test'
import { origin, reply, request, type Response } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const maps = `types { text/html html; image/png png; }
  charset_map koi8-r windows-1251 { C1 E0; C2 E1; }
  charset_map koi8-r utf-8 { C1 D0B0; C2 D0B1; }`
/** "аб" in koi8-r, and a byte no map names. */
const files = {
  'h/page.html': Buffer.from('x \u00c1\u00c2 \u00ff', 'latin1'),
  'h/a.png': 'png',
  'h/u.html': Buffer.from('x \u00d0\u00b0\u00d0\u00b1 \u00e2\u0082\u00ac \u00ff', 'latin1'),
}

function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return request({ address: port, path, headers })
}

const latin1 = (response: Response): string => response.body.toString('latin1')

test('the charset is named, for the types that have one, and not in redirects', async t => {
  const { port } = await serveHttp(t, 'root h; charset utf-8; location /r { return 301 /x; }', maps, { files })
  assert.equal((await ask(port, '/page.html')).header('content-type'), 'text/html; charset=utf-8')
  assert.equal((await ask(port, '/a.png')).header('content-type'), 'image/png')
  assert.equal((await ask(port, '/r')).header('content-type'), 'text/html')
})

test('a body is recoded between charsets of one byte, its length known', async t => {
  const { port } = await serveHttp(t, 'root h; charset windows-1251; source_charset koi8-r;', maps, { files })
  const response = await ask(port, '/page.html')
  assert.equal(response.header('content-type'), 'text/html; charset=windows-1251')
  assert.equal(response.header('content-length'), '6')
  assert.equal(latin1(response), 'x \u00e0\u00e1 ?')
  const part = await ask(port, '/page.html', { Range: 'bytes=2-3' })
  assert.deepEqual([part.status, latin1(part)], [206, '\u00e0\u00e1'])
})

test('a body is recoded to UTF-8 and back, also when a character comes in two pieces', async t => {
  const app = await origin(t, (_asked, socket) => {
    const body = files['h/u.html']
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n')
    socket.write(body.subarray(0, 3), () => setImmediate(() => socket.end(body.subarray(3))))
  })
  const { port } = await serveHttp(
    t,
    `root h;
     location /page.html { charset utf-8; source_charset koi8-r; }
     location /u.html { charset koi8-r; source_charset utf-8; }
     location /app { charset koi8-r; source_charset utf-8; proxy_buffering off; proxy_pass http://127.0.0.1:${app.port}; }`,
    maps,
    { files },
  )
  const there = await ask(port, '/page.html')
  assert.deepEqual([there.text, there.header('content-length')], ['x \u0430\u0431 ?', null])
  assert.equal(latin1(await ask(port, '/u.html')), 'x \u00c1\u00c2 &#8364; ?')
  assert.equal(latin1(await ask(port, '/app')), 'x \u00c1\u00c2 &#8364; ?')
})

test('what an upstream says of its charset stands, unless override_charset', async t => {
  const app = await origin(t, reply('\u00c1', { 'Content-Type': 'text/html; charset=koi8-r' }))
  const { port } = await serveHttp(
    t,
    `charset windows-1251;
     location / { proxy_pass http://127.0.0.1:${app.port}; }
     location /over { override_charset on; proxy_pass http://127.0.0.1:${app.port}; }
     location /var { charset $arg_c; override_charset on; proxy_pass http://127.0.0.1:${app.port}; }`,
    maps,
  )
  assert.equal((await ask(port, '/')).header('content-type'), 'text/html; charset=koi8-r')
  assert.equal((await ask(port, '/over')).header('content-type'), 'text/html; charset=windows-1251')
  assert.equal((await ask(port, '/var?c=utf-8')).header('content-type'), 'text/html; charset=utf-8')
})

test('a redirect loses its charset where it would get another one', async t => {
  const head = 'HTTP/1.1 301 Moved\r\nContent-Type: text/html; charset=koi8-r\r\nLocation: /there\r\n'
  const app = await origin(t, () => `${head}Content-Length: 0\r\n\r\n`)
  const { port } = await serveHttp(
    t,
    `charset windows-1251;
     location / { proxy_pass http://127.0.0.1:${app.port}; }
     location /over { override_charset on; proxy_pass http://127.0.0.1:${app.port}; }`,
    maps,
  )
  assert.equal((await ask(port, '/')).header('content-type'), 'text/html; charset=koi8-r')
  assert.equal((await ask(port, '/over')).header('content-type'), 'text/html')
})

test('charsets without a way between them are refused', async t => {
  const refused = /no "charset_map" between the charsets "a" and "b"/
  await assert.rejects(serveHttp(t, 'charset b; source_charset a;'), refused)
  await assert.rejects(serveHttp(t, '', 'charset_map a A { }'), /between the same charsets "a" and "A"/)
  await assert.rejects(serveHttp(t, '', 'charset_map utf-8 a { }'), /should be given in the second column/)
  await assert.rejects(serveHttp(t, '', 'charset_map a b { 100 1; }'), /invalid value "100"/)
  await assert.rejects(serveHttp(t, '', 'charset_map a utf-8 { 80 D0; }'), /invalid value "D0"/)
  await assert.rejects(serveHttp(t, '', 'charset_map a b { } charset_map B A { }'), /duplicate "charset_map"/)
})
