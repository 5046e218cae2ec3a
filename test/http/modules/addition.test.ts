import assert from 'node:assert/strict'
import test from 'node:test'
import { origin, request, type Response } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const files = {
  'h/page.html': 'page',
  'h/top.html': 'top ',
  'h/end.html': ' end',
  'h/a.css': 'css',
  'proxy_temp/x': '',
  'h/big.html': 'b'.repeat(300_000),
}
const types = 'types { text/html html; text/css css; }'

function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  return request({ address: port, path, headers, method })
}

test('other locations answer before and behind the body', async t => {
  const { port } = await serveHttp(
    t,
    `root h;
     location = /page.html { add_before_body /top.html; add_after_body /end.html; }
     location = /big.html { add_before_body /none; add_after_body /top.html; error_page 404 /end.html; }
     location /a.css { add_after_body /end.html; }
     location /none { return 404; error_page 404 /end.html; }`,
    types,
    { files },
  )
  const page = await ask(port, '/page.html')
  assert.equal(page.text, 'top page end')
  assert.deepEqual([page.header('content-length'), page.header('accept-ranges')], [null, null])
  assert.equal((await ask(port, '/a.css')).text, 'css')
  assert.equal((await ask(port, '/page.html', { Range: 'bytes=0-1' })).text, 'top page end')
  const big = await ask(port, '/big.html')
  assert.ok(big.text === ` end${files['h/big.html']}top `, big.text.slice(0, 100))
  assert.equal((await ask(port, '/page.html', {}, 'HEAD')).status, 200)
})

test('what is added sees the body of the request, too', async t => {
  const app = await origin(t, ({ method, target, body }) => {
    const text = `${method} ${target} ${body.toString('latin1')};`
    return `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  })
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://127.0.0.1:${app.port}; }
     location = /both { add_before_body /one; add_after_body /two; proxy_pass http://127.0.0.1:${app.port}; }`,
  )
  const response = await request({ address: port, path: '/both', method: 'POST', body: 'said' })
  assert.equal(response.text, 'GET /one said;POST /both said;GET /two said;')
})

test('what comes from elsewhere is waited for, in its order', async t => {
  const app = await origin(t, (asked, socket) => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n'
    socket.write(head, () => setImmediate(() => socket.end(`${asked.target} ${'z'.repeat(100_000)};`)))
  })
  const { port } = await serveHttp(
    t,
    `root h;
     location / { proxy_pass http://127.0.0.1:${app.port}; proxy_buffering off; }
     location = /both { add_before_body /one; add_after_body /two; proxy_pass http://127.0.0.1:${app.port}; }
     location = /page.html { add_before_body /one; add_after_body /two; }`,
    types,
    { files },
  )
  const shorten = (text: string): string => text.replace(/z+/g, z => `${z.length}`)
  assert.equal(shorten((await ask(port, '/both')).text), '/one 100000;/both 100000;/two 100000;')
  assert.equal(shorten((await ask(port, '/page.html')).text), '/one 100000;page/two 100000;')
})

test('chunked_transfer_encoding off: the end of the connection is the end of the body', async t => {
  const { port } = await serveHttp(t, 'root h; chunked_transfer_encoding off; add_after_body /end.html;', types, {
    files,
  })
  const page = await ask(port, '/page.html')
  assert.deepEqual([page.header('transfer-encoding'), page.header('connection')], [null, 'close'])
  assert.equal(page.text, 'page end')
})

test('what is added has been through the filters of its own location, not through those of the page', async t => {
  const { port } = await serveHttp(
    t,
    `root h;
     location = /page.html { sub_filter p P; sub_filter_once off; add_before_body /top.html; add_after_body /end.html; }
     location = /broken.html { ssi on; add_before_body /top.html; add_after_body /end.html; }`,
    types,
    { files: { ...files, 'h/broken.html': 'text<!--#echo var="uri">never ended' } },
  )
  assert.equal((await ask(port, '/page.html')).text, 'top Page end')
  assert.equal((await ask(port, '/broken.html')).text, 'top text end')
})

test('what stands for a missing part is added whatever its status', async t => {
  const { port } = await serveHttp(
    t,
    `root h;
     location = /page.html { add_before_body /none; add_after_body /never; }
     location = /none { return 404; error_page 404 =204 /top.html; }
     location = /never { return 404; error_page 404 =304 /end.html; }`,
    types,
    { files },
  )
  assert.equal((await ask(port, '/page.html')).text, 'top page end')
})
