import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readlinkSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { eventually, raw, request, serve, type Response, type Server } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const MODIFIED = 981173106
const DATE = 'Sat, 03 Feb 2001 04:05:06 GMT'
const TAG = `"${MODIFIED.toString(16)}-c"`
const big = Buffer.alloc(300_000)
for (let i = 0; i < big.length; i++) big[i] = (i * 7 + (i >> 8)) & 255

const file = { after }
const server: Server = await serve(file, {
  files: {
    'html/a.txt': 'hello world\n',
    'html/page.HTML': '<p>',
    'html/empty': '',
    'html/big': big,
    'html/dir/b.txt': 'b',
    'html/sp ace/x': 'x',
    'html/kept/a': 'one',
    'html/kept/big': big,
  },
  conf: `
      http {
        default_type application/octet-stream;
        types { text/plain txt; text/html html; }
        server {
          listen 127.0.0.1:%%PORT_0%%;
          root html/;
          location /alias/ { alias html/dir/; }
          location ~ ^/pattern/(.*)$ { alias %%DIR%%/html/$1; }
          location /var/ { root html/$arg_sub; }
          location /quiet/ { log_not_found off; }
          location /plain/ { alias html/; etag off; max_ranges 0; }
          location /before/ { alias html/; if_modified_since before; }
          location /single/ { alias html/; max_ranges 1; }
          location /relative/ { alias html/; absolute_redirect off; }
          location /kept/ {
            open_file_cache max=10 inactive=1h;
            open_file_cache_valid 1h;
            open_file_cache_errors on;
          }
        }
      }`,
})
utimesSync(join(server.dir, 'html/a.txt'), MODIFIED, MODIFIED)
symlinkSync('loop', join(server.dir, 'html/loop'))

function ask(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Response> {
  return request({ address: server.port, path, headers, method })
}

test('a file comes with its type, length, date and tag', async () => {
  const response = await ask('/a.txt')
  assert.equal(response.status, 200)
  assert.equal(response.text, 'hello world\n')
  assert.equal(response.header('content-type'), 'text/plain')
  assert.equal(response.header('content-length'), '12')
  assert.equal(response.header('last-modified'), DATE)
  assert.equal(response.header('etag'), TAG)
  assert.equal(response.header('accept-ranges'), 'bytes')
  assert.equal((await ask('/page.HTML')).header('content-type'), 'text/html')
  assert.equal((await ask('/empty')).header('content-type'), 'application/octet-stream')
  assert.equal((await ask('/empty')).header('content-length'), '0')
})

test('HEAD gets the head of GET, other methods are not allowed', async () => {
  for (const path of ['/a.txt', '/big']) {
    const [head, get] = [await ask(path, {}, 'HEAD'), await ask(path)]
    assert.equal(head.status, 200)
    assert.equal(head.body.length, 0)
    for (const name of ['content-length', 'content-type', 'etag', 'last-modified']) {
      assert.equal(head.header(name), get.header(name))
    }
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'FOO']) {
    assert.equal((await ask('/a.txt', {}, method)).status, 405, method)
  }
})

test('a missing file is a 404 and told in the error log, unless log_not_found is off', async () => {
  assert.equal((await ask('/none')).status, 404)
  assert.equal((await ask('/a.txt/x')).status, 404)
  assert.equal((await ask('/quiet/none')).status, 404)
  const dir = server.dir
  await eventually(() => {
    const log = server.errorLog()
    assert.ok(log.includes(`open() "${dir}/html/none" failed (2: No such file or directory), client: 127.0.0.1`))
    assert.ok(log.includes(`open() "${dir}/html/a.txt/x" failed (20: Not a directory)`))
    return !log.includes('quiet')
  })
})

test('a link that leads nowhere but to itself is forbidden, as is a folder without index', async () => {
  assert.equal((await ask('/loop')).status, 403)
  assert.equal((await ask('/dir/')).status, 403)
  await eventually(() => server.errorLog().includes(`directory index of "${server.dir}/html/dir/" is forbidden`))
})

test('a folder without its slash is redirected, with escapes and arguments', async () => {
  const base = `http://localhost:${server.port}`
  const location = async (path: string): Promise<string | null> => (await ask(path)).header('location')
  assert.equal((await ask('/dir')).status, 301)
  assert.equal(await location('/dir'), `${base}/dir/`)
  assert.equal(await location('/sp%20ace?a=b'), `${base}/sp%20ace/?a=b`)
  assert.equal(await location('/alias/../dir'), `${base}/dir/`)
  assert.equal(await location('/relative/dir'), '/relative/dir/')
})

test('alias replaces the name of its location, root goes before the whole URI', async () => {
  assert.equal((await ask('/alias/b.txt')).text, 'b')
  assert.equal((await ask('/pattern/dir/b.txt')).text, 'b')
  assert.equal((await ask('/var/x?sub=none')).status, 404)
  await eventually(() => server.errorLog().includes(`${server.dir}/html/none/var/x`))
})

test('who has it already is told so', async () => {
  const status = async (headers: Readonly<Record<string, string>>, path = '/a.txt'): Promise<number> =>
    (await ask(path, headers)).status
  assert.equal(await status({ 'If-Modified-Since': DATE }), 304)
  assert.equal(await status({ 'If-Modified-Since': 'Fri, 01 Jan 2038 00:00:00 GMT' }), 200)
  assert.equal(await status({ 'If-Modified-Since': 'Fri, 01 Jan 2038 00:00:00 GMT' }, '/before/a.txt'), 304)
  assert.equal(await status({ 'If-None-Match': `W/${TAG}` }), 304)
  assert.equal(await status({ 'If-None-Match': '"other"', 'If-Modified-Since': DATE }), 200)
  assert.equal(await status({ 'If-Match': '"other"' }), 412)
  assert.equal(await status({ 'If-Unmodified-Since': 'Mon, 01 Jan 1990 00:00:00 GMT' }), 412)
  const response = await ask('/a.txt', { 'If-None-Match': TAG })
  assert.equal(response.header('etag'), TAG)
  assert.equal(response.header('last-modified'), DATE)
  assert.equal(response.header('content-type'), null)
  assert.equal(response.header('content-length'), null)
})

test('etag off and max_ranges 0 leave their fields out', async () => {
  const response = await ask('/plain/a.txt', { Range: 'bytes=0-1' })
  assert.equal(response.status, 200)
  assert.equal(response.header('etag'), null)
  assert.equal(response.header('accept-ranges'), null)
})

test('one range is sent alone, of small files and of big ones', async () => {
  const small = await ask('/a.txt', { Range: 'bytes=2-4' })
  assert.equal(small.status, 206)
  assert.equal(small.text, 'llo')
  assert.equal(small.header('content-range'), 'bytes 2-4/12')
  for (const [range, start, end] of [
    ['0-0', 0, 1],
    ['100000-', 100_000, 300_000],
    ['-70000', 230_000, 300_000],
  ] as const) {
    const response = await ask('/big', { Range: `bytes=${range}` })
    assert.equal(response.header('content-range'), `bytes ${start}-${end - 1}/300000`)
    assert.ok(response.body.equals(big.subarray(start, end)))
  }
  assert.equal((await ask('/single/a.txt', { Range: 'bytes=0-1,3-4' })).status, 200)
})

test('several ranges are sent as parts', async () => {
  for (const [path, content] of [
    ['/a.txt', Buffer.from('hello world\n')],
    ['/big', big],
  ] as const) {
    const response = await ask(path, { Range: 'bytes=0-1,4-5' })
    assert.equal(response.status, 206)
    const boundary = /^multipart\/byteranges; boundary=(\d+)$/.exec(response.header('content-type') ?? '')?.[1]
    const type = path === '/a.txt' ? 'text/plain' : 'application/octet-stream'
    const part = (start: number, end: number): string =>
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${start}-${end - 1}/${content.length}\r\n\r\n` +
      content.toString('latin1', start, end)
    assert.equal(response.body.toString('latin1'), `${part(0, 2)}${part(4, 6)}\r\n--${boundary}--\r\n`)
  }
})

test('a range outside the file is refused with its size', async () => {
  const response = await ask('/a.txt', { Range: 'bytes=12-' })
  assert.equal(response.status, 416)
  assert.equal(response.header('content-range'), 'bytes */12')
})

test('If-Range: the part only of the version the client has', async () => {
  const status = async (condition: string): Promise<number> =>
    (await ask('/a.txt', { Range: 'bytes=0-1', 'If-Range': condition })).status
  assert.equal(await status(TAG), 206)
  assert.equal(await status('"other"'), 200)
  assert.equal(await status(DATE), 206)
  assert.equal(await status('Fri, 01 Jan 2038 00:00:00 GMT'), 200)
})

test('big files arrive whole, also at clients that read late, and the connection goes on', async t => {
  assert.ok((await ask('/big')).body.equals(big))
  const client = await raw(t, server.port)
  client.pause()
  await client.send(`GET /big HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(20))
  await new Promise(resolve => setImmediate(resolve))
  client.resume()
  for (let i = 0; i < 20; i++) assert.ok((await client.response()).body.equals(big))
  assert.equal((await client.request({ path: '/a.txt' })).text, 'hello world\n')
})

test('a file that shrinks while it is sent cuts the connection', async t => {
  const path = join(server.dir, 'html/shrinks')
  writeFileSync(path, '')
  // More than the kernel's buffers between us can hold.
  truncateSync(path, 64 << 20)
  const client = await raw(t, server.port)
  await client.send('GET /shrinks HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.until('\r\n\r\n')
  client.pause()
  truncateSync(path, 1000)
  client.resume()
  assert.ok((await client.closed()).length < 64 << 20)
  await eventually(() => server.errorLog().includes('was truncated at'))
})

test('a client that leaves in the middle of a file leaves no descriptor open', async t => {
  const held = (): number =>
    server
      .processes()
      .reduce((sum, { pid }) => sum + descriptorsOf(pid).filter(path => path.endsWith('/html/big')).length, 0)
  for (let i = 0; i < 5; i++) {
    const client = await raw(t, server.port)
    client.pause()
    await client.send('GET /big HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50))
    client.reset()
  }
  await eventually(() => held() === 0)
})

test('open_file_cache answers from memory until its time is over', async () => {
  const path = join(server.dir, 'html/kept/a')
  assert.equal((await ask('/kept/a')).text, 'one')
  writeFileSync(path, 'other')
  const again = await ask('/kept/a')
  assert.equal(again.text, 'one')
  assert.equal(again.header('content-length'), '3')
  assert.equal((await ask('/kept/a', { Range: 'bytes=1-' })).text, 'ne')
  assert.equal((await ask('/kept/new')).status, 404)
  writeFileSync(join(server.dir, 'html/kept/new'), 'x')
  assert.equal((await ask('/kept/new')).status, 404)
  for (let i = 0; i < 3; i++) assert.ok((await ask('/kept/big')).body.equals(big))
  mkdirSync(join(server.dir, 'html/kept/dir'))
  assert.equal((await ask('/kept/dir')).status, 301)
})

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map(name => readlinkSync(`/proc/${pid}/fd/${name}`))
  } catch {
    // A descriptor, or the process, has gone since it was listed.
    return []
  }
}

test('root and alias: a path made of itself is refused, and an alias where no part of the URI can be replaced', async t => {
  const refused = (body: string, problem: RegExp): Promise<void> => assert.rejects(serveHttp(t, body), problem)
  await refused('root $document_root/x;', /the \$document_root variable cannot be used in the "root" directive/)
  await refused('location / { alias ${realpath_root}; }', /the \$realpath_root variable .* in the "alias" directive/)
  await refused('location @x { alias y; }', /the "alias" directive cannot be used inside the named location/)
})

test('a root or alias that is a variable may be relative to the prefix', async t => {
  const { port } = await serveHttp(
    t,
    `location /a/ { set $folder h/; alias $folder; } location /r/ { root $arg_root; }
     location /d/ { root $arg_root; return 200 $document_root; }`,
    '',
    { files: { 'h/x': 'one', 'h/r/x': 'two' } },
  )
  const text = async (path: string): Promise<string> => (await request({ address: port, path })).text
  assert.equal(await text('/a/x'), 'one')
  assert.equal(await text('/r/x?root=h'), 'two')
  assert.match(await text('/d/?root=h'), /^\/.*\/h$/)
})

test('an alias does not know what to replace in a URI that was rewritten', async t => {
  const server = await serveHttp(
    t,
    `location /a/ { alias h/; rewrite ^/a/break/(.*)$ /x/$1 break; }
     location /b/ { alias h/; rewrite ^ /a/x last; }
     location /c/ { alias h/; rewrite ^ /c/y break; empty_gif; }`,
    '',
    { files: { 'h/x': 'one' } },
  )
  const answers = async (path: string): Promise<readonly [number, string]> => {
    const { status, text } = await request({ address: server.port, path })
    return [status, status === 200 ? text : '']
  }
  assert.deepEqual(await answers('/a/x'), [200, 'one'])
  assert.deepEqual(await answers('/a/break/x'), [500, ''])
  assert.deepEqual(await answers('/b/'), [200, 'one'])
  assert.equal((await answers('/c/'))[0], 200)
  assert.match(server.errorLog(), /\[alert\].* "alias" cannot be used in location "\/a\/" where URI was rewritten/)
})
