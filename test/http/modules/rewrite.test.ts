import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { check } from '../../helpers/check.ts'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, raw, request, serve, tempDir, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `
    http {
      map $arg_x $app_time { default mapped; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        set $from server;
        location /text { return 200 "hello\\n"; }
        location /vars { set $a "$arg_x-"; set $b $a$a; set $args y; return 200 "$b|$args|$from|$uri"; }
        location /unset { return 200 "[$later]"; }
        location /later { set $later now; return 200 $later; }
        location /empty { return 200; }
        location /none { return 204; }
        location /page { return 404; }
        location /page-empty { return 404 ""; }
        location /page-text { return 404 "gone $uri"; }
        location /moved { return 301 /there?a=b; }
        location /permanent { return 308 https://example.com$request_uri; }
        location /url { return https://example.com/; }
        location /scheme { return $scheme://example.com/; }
        location /close { return 444; }
        location /a.json { types { application/json json; } return 200 '{}'; }
        location /typed { default_type text/css; return 200 x; }
        location /first { return 200 one; return 200 two; }
        location /dead { set $dead 1; return 200 $dead; set $dead 2; }
        location /own { set $app_name own; set $sent_http_etag tag; return 200 "$app_name $app_time $sent_http_etag"; }
      }
      server {
        listen 127.0.0.1:%%PORT_1%%;
        return 403;
        location / { return 200; }
      }
    }`,
)

const ask = (path: string, options: { method?: string; port?: number } = {}) =>
  request({ address: options.port ?? server.port, path, method: options.method ?? 'GET' })

test('return: a text has the type its URI or default_type gives it', async () => {
  const text = await ask('/text')
  assert.equal(text.status, 200)
  assert.equal(text.text, 'hello\n')
  assert.equal(text.header('content-type'), 'text/plain')
  assert.equal((await ask('/a.json')).header('content-type'), 'application/json')
  assert.equal((await ask('/typed')).header('content-type'), 'text/css')
  assert.equal((await ask('/text', { method: 'HEAD' })).header('content-length'), '6')
})

test('return: below 400 an empty body, from 400 on the page, unless a text is given', async () => {
  assert.equal((await ask('/empty')).header('content-length'), '0')
  assert.equal((await ask('/none')).status, 204)
  assert.match((await ask('/page')).text, /404 Not Found/)
  assert.match((await ask('/page-empty')).text, /404 Not Found/)
  assert.equal((await ask('/page-text')).text, 'gone /page-text')
})

test('return: redirects', async () => {
  const moved = await ask('/moved')
  assert.equal(moved.status, 301)
  assert.equal(moved.header('location'), `http://localhost:${server.port}/there?a=b`)
  const permanent = await ask('/permanent?q')
  assert.equal(permanent.status, 308)
  assert.equal(permanent.header('location'), 'https://example.com/permanent?q')
  assert.equal((await ask('/url')).status, 302)
  assert.equal((await ask('/scheme')).header('location'), 'http://example.com/')
})

test('return 444 closes without an answer', async t => {
  const client = await raw(t, server.port)
  await client.send('GET /close HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(await client.closed(), '')
})

test('return 444 resets the connection where reset_timedout_connection is on', async t => {
  const { port } = await serveHttp(t, 'reset_timedout_connection on; return 444;')
  const client = await raw(t, port)
  const error = new Promise<NodeJS.ErrnoException>(resolve => client.socket.once('error', resolve))
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await error).code, 'ECONNRESET')
})

test('set: in the order written, also on variables that were there before', async () => {
  assert.equal((await ask('/vars?x=1')).text, '1-1-|y|server|/vars')
  assert.equal((await ask('/first')).text, 'one')
  assert.equal((await ask('/dead')).text, '1')
  assert.equal((await ask('/later')).text, 'now')
  // Variables of ours that nginx does not know.
  assert.equal((await ask('/own')).text, 'own mapped tag')
})

test('a variable that is set elsewhere is empty and warned about', async () => {
  assert.equal((await ask('/unset')).text, '[]')
  await eventually(() => server.errorLog().includes('using uninitialized "later" variable'))
})

test('return at the server level answers before any location', async () => {
  assert.equal((await ask('/', { port: server.ports[1]! })).status, 403)
})

test('what cannot be is refused in the words of nginx', t => {
  const dir = tempDir(t)
  const problem = (text: string): string => {
    writeFileSync(join(dir, 'c.conf'), `events {} http { server { ${text} } }`)
    const { status, stderr } = check(dir, 'c.conf', { errorLog: 'stderr' })
    return status === 0 ? '' : stderr
  }
  assert.match(problem('return abc;'), /invalid return code "abc" in .*c\.conf:1/)
  assert.match(problem('return 1000;'), /invalid return code "1000"/)
  assert.match(problem('set a b;'), /invalid variable name "a"/)
  assert.match(problem('set $host b;'), /the duplicate "host" variable/)
  assert.match(problem('return 200 $nothing;'), /unknown "nothing" variable/)
})
