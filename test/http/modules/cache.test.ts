import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { origin, request, type Response } from '../../helpers/index.ts'
import { eventually } from '../../helpers/eventually.ts'
import type { Origin } from '../../helpers/origin.ts'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'

interface Served extends HttpServer {
  readonly app: Origin
  get: (path: string, headers?: Record<string, string>, method?: string) => Promise<Response>
  /** Cache status and text. */
  see: (path: string, headers?: Record<string, string>) => Promise<string>
}

/** An upstream whose answers say which one of theirs they are, behind a cache. */
async function cached(
  t: TestContext,
  conf: string,
  fields: string | ((target: string, count: number) => string) = 'Cache-Control: max-age=100',
  path = 'keys_zone=one:1m',
): Promise<Served> {
  let count = 0
  const app = await origin(t, asked => {
    const { target, method } = asked
    count++
    const said = typeof fields === 'string' ? fields : fields(target, count)
    if (said.startsWith('HTTP/')) return said
    const size = /size=(\d+)/.exec(target)
    const since = asked.header('if-none-match')
    const body = `${method} ${count}${since === null ? '' : ` if ${since}`}${size === null ? '' : 'x'.repeat(Number(size[1]))}`
    const lines = said === '' ? '' : `${said}\r\n`
    return `HTTP/1.1 200 OK\r\n${lines}Content-Length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`
  })
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://127.0.0.1:${app.port}; proxy_http_version 1.1; proxy_cache one; ${conf}
       add_header X-Cache $upstream_cache_status always; }
     location /plain/ { proxy_pass http://127.0.0.1:${app.port}; }`,
    `proxy_cache_path cache ${path};`,
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  const get: Served['get'] = (path, headers = {}, method = 'GET') =>
    request({ address: server.port, path, headers, method })
  return {
    ...server,
    app,
    get,
    async see(path, headers) {
      const response = await get(path, headers)
      return `${response.header('x-cache')} ${response.text}`
    },
  }
}

test('the second client gets what the first one got', async t => {
  const { see, get, app } = await cached(t, '')
  assert.equal(await see('/a'), 'MISS GET 1')
  assert.equal(await see('/a'), 'HIT GET 1')
  assert.equal(await see('/a?b'), 'MISS GET 2')
  assert.equal((await get('/a', {}, 'HEAD')).header('content-length'), '5')
  assert.equal((await get('/a', {}, 'POST')).header('x-cache'), null)
  assert.equal(app.requests.length, 3)
})

test('big ones come from the file', async t => {
  const { get } = await cached(t, '')
  const first = await get('/size=300000')
  const second = await get('/size=300000')
  assert.equal(second.header('x-cache'), 'HIT')
  assert.ok(second.text === first.text && second.text.length === 300_005)
  assert.equal((await get('/size=300000', {}, 'HEAD')).header('content-length'), '300005')
})

test('HEAD fetches the whole, unless it is told not to', async t => {
  const { get, see } = await cached(t, '')
  assert.equal((await get('/a', {}, 'HEAD')).header('x-cache'), 'MISS')
  assert.equal(await see('/a'), 'HIT GET 1')
  const other = await cached(t, 'proxy_cache_convert_head off; proxy_cache_key $request_method$uri;')
  assert.equal((await other.get('/a', {}, 'HEAD')).header('content-length'), '6')
  assert.equal((await other.get('/a', {}, 'HEAD')).header('x-cache'), 'HIT')
  assert.equal(await other.see('/a'), 'MISS GET 2')
})

test('parts and conditions are for the cache to answer, not for the upstream', async t => {
  const { get, app } = await cached(t, '', 'Cache-Control: max-age=9\r\nETag: "e"\r\nAccept-Ranges: bytes')
  const range = { Range: 'bytes=1-2' }
  const missed = await get('/a', range)
  assert.deepEqual([missed.status, missed.text, missed.header('content-range')], [206, 'ET', 'bytes 1-2/5'])
  const hit = await get('/a', range)
  assert.deepEqual([hit.status, hit.text, hit.header('x-cache')], [206, 'ET', 'HIT'])
  assert.equal((await get('/a', { Range: 'bytes=9-' })).status, 416)
  assert.equal((await get('/a', { 'If-None-Match': '"e"' })).status, 304)
  assert.equal((await get('/a', { 'If-Match': '"f"' })).status, 412)
  assert.equal((await get('/b', { 'If-None-Match': '"e"' })).status, 304)
  assert.equal((await get('/b')).header('x-cache'), 'HIT')
  for (const asked of app.requests) {
    assert.deepEqual([asked.header('range'), asked.header('if-none-match')], [null, null])
  }
  // What is not for the cache goes on as it came.
  await get('/c', { 'If-Match': '"x"' }, 'PUT')
  assert.equal(app.requests.at(-1)!.header('if-match'), '"x"')
})

test('a range that begins far in does not fetch the whole', async t => {
  const { get, app } = await cached(t, 'proxy_cache_max_range_offset 100;')
  await get('/a', { Range: 'bytes=200-' })
  assert.equal(app.requests[0]!.header('range'), 'bytes=200-')
  await get('/a', { Range: 'bytes=10-' })
  assert.equal(app.requests[1]!.header('range'), null)
})

test('what the configuration or the fields forbid is not kept', async t => {
  const { see } = await cached(
    t,
    'proxy_no_cache $arg_no; proxy_cache_bypass $arg_by; proxy_cache_key $uri; proxy_cache_valid 200 1m;',
    target => (target.includes('cookie') ? 'Set-Cookie: a=b' : ''),
  )
  assert.equal(await see('/a?no=1'), 'MISS GET 1')
  assert.equal(await see('/a'), 'MISS GET 2')
  assert.equal(await see('/a?by=1'), 'BYPASS GET 3')
  assert.equal(await see('/a'), 'HIT GET 3')
  assert.equal(await see('/cookie'), 'MISS GET 4')
  assert.equal(await see('/cookie'), 'MISS GET 5')
})

test('what is asked for once is not kept where min_uses says so', async t => {
  const { see } = await cached(t, 'proxy_cache_min_uses 3;')
  for (const expected of ['MISS GET 1', 'MISS GET 2', 'MISS GET 3', 'HIT GET 3'])
    assert.equal(await see('/a'), expected)
})

test('variants are kept beside each other', async t => {
  const { see } = await cached(t, '', 'Cache-Control: max-age=9\r\nVary: Accept-Language, X-Kind')
  assert.equal(await see('/a', { 'Accept-Language': 'a b' }), 'MISS GET 1')
  assert.equal(await see('/a', { 'Accept-Language': 'b' }), 'MISS GET 2')
  assert.equal(await see('/a', { 'Accept-Language': ' a,, b' }), 'HIT GET 1')
  assert.equal(await see('/a', { 'Accept-Language': 'b' }), 'HIT GET 2')
  // What is no list of that kind counts as it stands.
  assert.equal(await see('/a', { 'X-Kind': 'c,d' }), 'MISS GET 3')
  assert.equal(await see('/a', { 'X-Kind': 'c, d' }), 'MISS GET 4')
})

test('a request past the cache leaves what is kept as it is, even when it fails', async t => {
  const { get, see } = await cached(
    t,
    'proxy_cache_key $uri; proxy_cache_bypass $arg_b; proxy_cache_valid any 1m;',
    (to, n) => (to.includes('?') ? 'HTTP/1.1 nonsense\r\n\r\n' : `X-Count: ${n}`),
  )
  assert.equal(await see('/a'), 'MISS GET 1')
  assert.equal((await get('/a?b=1')).status, 502)
  assert.equal(await see('/a'), 'HIT GET 1')
})

test('a far range is fetched by itself, unless the cache is passed by', async t => {
  const { get, see, app } = await cached(t, 'proxy_cache_max_range_offset 3; proxy_cache_bypass $arg_b;')
  const asked = async (path: string, range: string): Promise<string | null> => {
    await get(path, { Range: range })
    return app.requests.at(-1)!.header('range')
  }
  assert.equal(await asked('/a', 'bytes=2-3'), null)
  assert.equal(await asked('/b', 'bytes=3-'), 'bytes=3-')
  assert.equal(await asked('/c', 'bytes=-1'), 'bytes=-1')
  assert.equal(await asked('/d', 'bytes=x'), null)
  assert.equal(await asked('/e', 'bytes='), null)
  assert.equal(await asked('/f?b=1', 'bytes=5-'), null)
  const none = await cached(t, 'proxy_cache_max_range_offset 0;')
  assert.equal(await none.see('/a', { Range: 'lines=1-2' }), 'MISS GET 1')
  assert.equal(await none.see('/a'), 'MISS GET 2')
  assert.equal(await see('/b'), 'MISS GET 7')
})

test('a key that nginx’s buffer would not hold is not cached under, and that is logged', async t => {
  const server = await cached(t, 'proxy_cache_key $uri; proxy_buffer_size 1k;')
  const { get } = server
  assert.equal((await get(`/${'k'.repeat(424)}`)).header('x-cache'), 'MISS')
  assert.equal((await get(`/${'k'.repeat(425)}`)).header('x-cache'), null)
  const line = 'proxy_buffer_size 1024 is not enough for cache key, it should be increased to at least 2048'
  assert.ok(server.errorLog().includes(line))
})

test('stale-if-error is for upstreams that do not answer, not for answers', async t => {
  const { see, get } = await cached(t, '', (_, count) =>
    count === 1
      ? 'Cache-Control: max-age=1, stale-if-error=4000000000\r\nX-Accel-Expires: @1'
      : count === 2
        ? 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'
        : 'HTTP/1.1 nonsense\r\n\r\n',
  )
  await see('/a')
  assert.equal((await get('/a')).status, 500)
  assert.equal(await see('/a'), 'STALE GET 1')
})

test('of what is kept, ranges are ours to offer, and only of the whole', async t => {
  const { get } = await cached(t, 'proxy_cache_valid any 1m;', target => {
    const status = target === '/lost' ? '404 Lost' : '200 OK'
    return `HTTP/1.1 ${status}\r\nAccept-Ranges: none\r\nContent-Length: 0\r\n\r\n`
  })
  for (let i = 0; i < 2; i++) {
    assert.equal((await get('/lost')).header('accept-ranges'), null)
    assert.equal((await get('/whole')).header('accept-ranges'), 'bytes')
  }
})

// A lifetime that ended long ago: kept, and stale at once.
const STALE = 'X-Accel-Expires: @1'

test('a stale one stands in for an upstream that fails', async t => {
  const { see, get, app } = await cached(t, 'proxy_cache_use_stale error http_500;', (_, count) =>
    count === 2 ? 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n' : STALE,
  )
  assert.equal(await see('/a'), 'MISS GET 1')
  assert.equal(await see('/a'), 'STALE GET 1')
  assert.equal(await see('/a'), 'EXPIRED GET 3')
  await app.close()
  assert.equal(await see('/a'), 'STALE GET 3')
  assert.equal((await get('/b')).status, 502)
})

test('one request fetches what is stale, others get it meanwhile', async t => {
  let answer = (): void => {}
  let count = 0
  const app = await origin(t, (_, socket) => {
    count++
    const text = `HTTP/1.1 200 OK\r\n${STALE}\r\nContent-Length: 1\r\n\r\n${count}`
    if (count === 1) return text
    answer = () => socket.write(text)
    return undefined
  })
  const { port } = await serveHttp(
    t,
    `proxy_cache one; proxy_cache_use_stale updating; add_header X-Cache $upstream_cache_status;
     location / { proxy_pass http://127.0.0.1:${app.port}; }
     location /back { proxy_pass http://127.0.0.1:${app.port}; proxy_cache_background_update on; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  const see = async (path: string): Promise<string> => {
    const response = await request({ address: port, path })
    return `${response.header('x-cache')} ${response.text}`
  }
  assert.equal(await see('/a'), 'MISS 1')
  const first = see('/a')
  await eventually(() => count === 2)
  assert.equal(await see('/a'), 'UPDATING 1')
  answer()
  assert.equal(await first, 'EXPIRED 2')

  count = 0
  assert.equal(await see('/back'), 'MISS 1')
  assert.equal(await see('/back'), 'STALE 1')
  assert.equal(await see('/back'), 'UPDATING 1')
  await eventually(() => count === 2)
  answer()
  let seen = await see('/back')
  while (seen === 'UPDATING 1') seen = await see('/back')
  assert.equal(seen, 'STALE 2')
})

test('304 makes a stale one good again', async t => {
  const { see, app } = await cached(t, 'proxy_cache_revalidate on;', (_, count) =>
    count === 1
      ? `${STALE}\r\nETag: "e"`
      : `HTTP/1.1 304 Not Modified\r\nETag: "e"\r\nCache-Control: max-age=9\r\n\r\n`,
  )
  assert.equal(await see('/a'), 'MISS GET 1')
  assert.equal(await see('/a'), 'REVALIDATED GET 1')
  assert.equal(await see('/a'), 'HIT GET 1')
  assert.equal(app.requests[1]!.header('if-none-match'), '"e"')
})

test('cache_lock lets one ask and the others wait', async t => {
  const waiting: (() => void)[] = []
  const app = await origin(t, (_, socket) => {
    const text = `HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 1\r\n\r\n${waiting.length + 1}`
    waiting.push(() => socket.write(text))
  })
  const { port } = await serveHttp(
    t,
    `proxy_cache one; proxy_cache_lock on; location / { proxy_pass http://127.0.0.1:${app.port}; }
     location /short { proxy_pass http://127.0.0.1:${app.port}; proxy_cache_lock_timeout 50ms; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  const ask = async (path: string): Promise<string> => (await request({ address: port, path })).text
  const all = ['/a', '/a', '/a', '/a'].map(ask)
  await eventually(() => waiting.length === 1)
  waiting[0]!()
  assert.deepEqual(await Promise.all(all), ['1', '1', '1', '1'])
  assert.equal(app.requests.length, 1)
  const two = ['/short', '/short'].map(ask)
  await eventually(() => waiting.length === 3)
  waiting[2]!()
  waiting[1]!()
  assert.deepEqual((await Promise.all(two)).sort(), ['2', '3'])
  assert.equal(await ask('/short'), '2')
})

test('errors are remembered where that is asked for', async t => {
  const { get, app } = await cached(t, 'proxy_cache_valid 502 1m;', '')
  await app.close()
  assert.equal((await get('/a')).header('x-cache'), 'MISS')
  const again = await get('/a')
  assert.deepEqual([again.status, again.header('x-cache')], [502, 'HIT'])
})

test('half a response is not kept', async t => {
  let count = 0
  const app = await origin(t, (_, socket) => {
    count++
    const half = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 100\r\n\r\nhalf'
    if (count === 1) socket.end(half)
    else return 'HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 5\r\n\r\nwhole'
    return undefined
  })
  const { port, dir } = await serveHttp(
    t,
    `location / { proxy_pass http://127.0.0.1:${app.port}; proxy_cache one; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  await assert.rejects(request({ address: port, path: '/' }))
  await eventually(() => readdirSync(join(dir, 'cache')).join() === 'x')
  assert.equal((await request({ address: port, path: '/' })).text, 'whole')
  await eventually(() => readdirSync(join(dir, 'proxy_temp')).join() === 'x')
})

test('a response is fetched to its end though its client has left', async t => {
  let answer = (): void => {}
  const app = await origin(t, (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 4\r\n\r\nwh')
    answer = () => socket.write('ole'.slice(1))
  })
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://127.0.0.1:${app.port}; proxy_cache one; add_header X-Cache $upstream_cache_status; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  socket.destroy()
  await once(socket, 'close')
  answer()
  await eventually(async () => {
    const response = await request({ address: port, path: '/' })
    assert.deepEqual([response.header('x-cache'), response.text], ['HIT', 'whle'])
    return true
  })
})

test('the name of the cache may be made of variables', async t => {
  let count = 0
  const app = await origin(
    t,
    () => `HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 1\r\n\r\n${++count}`,
  )
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://127.0.0.1:${app.port}; proxy_cache $arg_c; proxy_cache_key $uri; }`,
    'proxy_cache_path c1 keys_zone=one:1m; proxy_cache_path c2 keys_zone=two:1m;',
    { files: { 'c1/x': '', 'c2/x': '', 'proxy_temp/x': '' } },
  )
  const ask = async (args: string): Promise<string> =>
    (await request({ address: server.port, path: `/?c=${args}` })).text
  assert.deepEqual([await ask('one'), await ask('one'), await ask('two'), await ask('two')], ['1', '1', '2', '2'])
  assert.deepEqual([await ask('off'), await ask('')], ['3', '4'])
  assert.equal((await request({ address: server.port, path: '/?c=none' })).status, 500)
  assert.match(server.errorLog(), /cache "none" not found/)
})

test('files lie where levels say, one for each key, and broken ones are fetched again', async t => {
  const server = await cached(t, '', 'Cache-Control: max-age=9', 'levels=1:2 keys_zone=one:1m use_temp_path=off')
  const { see, dir } = server
  assert.equal(await see('/a'), 'MISS GET 1')
  const files = readdirSync(join(dir, 'cache'), { recursive: true, encoding: 'latin1' }).filter(name =>
    /[0-9a-f]{32}$/.test(name),
  )
  assert.equal(files.length, 1)
  const file = files[0]!
  const [, one, two, name] = /^(.)\/(..)\/(.*)$/.exec(file)!
  assert.ok(name!.endsWith(two! + one!), file)
  const path = join(dir, 'cache', file)
  writeFileSync(path, readFileSync(path).subarray(0, 70))
  assert.equal(await see('/a'), 'MISS GET 2')
  assert.equal(await see('/a'), 'HIT GET 2')
  assert.match(server.errorLog(), /is broken or another key's/)
})

test('a full zone lets go of what was used least', async t => {
  const { see, dir } = await cached(t, '', 'Cache-Control: max-age=9', 'keys_zone=one:9k')
  for (let i = 0; i < 12; i++) await see(`/${i}`)
  await eventually(() => readdirSync(join(dir, 'cache')).length <= 9)
  assert.match(await see('/11'), /^HIT/)
  assert.match(await see('/0'), /^MISS/)
})

test('a zone that is not declared is refused, and so are parameters that make no sense', async t => {
  const refuse = (body: string, http: string): Promise<unknown> => serveHttp(t, body, http)
  await assert.rejects(
    refuse('location / { proxy_pass http://127.0.0.1:1; proxy_cache x; }', ''),
    /"proxy_cache" zone "x" is unknown/,
  )
  await assert.rejects(refuse('', 'proxy_cache_path c levels=3 keys_zone=a:1m;'), /invalid "levels" "levels=3"/)
  await assert.rejects(refuse('', 'proxy_cache_path c keys_zone=a;'), /invalid keys zone size "keys_zone=a"/)
  await assert.rejects(refuse('', 'proxy_cache_path c keys_zone=a:1;'), /keys zone "keys_zone=a:1" is too small/)
  await assert.rejects(
    refuse('', 'proxy_cache_path c keys_zone=a:1m max_size=x;'),
    /invalid max_size value "max_size=x"/,
  )
  await assert.rejects(
    refuse('', 'proxy_cache_path c keys_zone=a:1m; scgi_cache_path c/ keys_zone=b:1m;'),
    /the same path name ".*\/c" used in .*nginx.conf:3 and/,
  )
  await assert.rejects(
    refuse('', 'proxy_cache_path c keys_zone=a:1m; scgi_cache_path d keys_zone=a:1m;'),
    /the shared memory zone "a" is already declared for a different use/,
  )
  await assert.rejects(refuse('', 'proxy_cache_path c inactive=1m;'), /must have "keys_zone" parameter/)
  await assert.rejects(refuse('', 'proxy_cache_path c keys_zone=a:1m nonsense;'), /invalid parameter "nonsense"/)
  await assert.rejects(refuse('proxy_cache_valid 99 1m;', ''), /invalid status "99"/)
  for (const [first, second] of [
    ['cache', 'store'],
    ['store', 'cache'],
  ] as const) {
    const lines = { cache: 'scgi_cache a;', store: 'scgi_store on;' }
    await assert.rejects(
      refuse(
        `location / { scgi_pass 127.0.0.1:1; scgi_cache_key k; ${lines[first]} ${lines[second]} }`,
        'scgi_cache_path c keys_zone=a:1m;',
      ),
      new RegExp(`"scgi_${second}" directive is incompatible with "scgi_${first}"`),
    )
  }
})

test('without a key where there is no default for it, everything is kept under one, and that is warned about', async t => {
  const app = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('Status: 200 OK\r\n\r\nonly one'))
  })
  app.listen(0, '127.0.0.1')
  await once(app, 'listening')
  t.after(() => app.close())
  const warnings: string[] = []
  const server = await serveHttp(
    t,
    `scgi_cache a;
     location / { scgi_pass 127.0.0.1:${(app.address() as net.AddressInfo).port}; scgi_cache_valid 1m; }
     location /with/ { scgi_pass 127.0.0.1:1; scgi_cache_key $uri; }
     location /off/ { scgi_pass 127.0.0.1:1; scgi_cache off; }
     add_header X-Cache $upstream_cache_status;`,
    'scgi_cache_path cache keys_zone=a:1m;',
    { files: { 'cache/x': '', 'scgi_temp/x': '' }, warn: warning => warnings.push(String(warning)) },
  )
  const end = readFileSync(join(server.dir, 'nginx.conf'), 'latin1').trimEnd().split('\n').length
  // Of the server and of the location.
  const warning = `no "scgi_cache_key" for "scgi_cache" in ${server.dir}/nginx.conf:${end}`
  assert.deepEqual(warnings, [warning, warning])
  const see = async (path: string) => {
    const response = await request({ address: server.port, path })
    return `${response.header('x-cache')} ${response.text}`
  }
  assert.equal(await see('/a'), 'MISS only one')
  assert.equal(await see('/b'), 'HIT only one')
})

test('conditions are met for a response that could have been kept, too', async t => {
  const { get } = await cached(t, '', 'ETag: "a"\r\nX-Own: b')
  for (let i = 0; i < 2; i++) assert.equal((await get('/', { 'If-None-Match': '"a"' })).status, 304)
  const failed = await get('/', { 'If-Match': '"b"' })
  assert.deepEqual([failed.status, failed.header('x-own'), failed.header('etag')], [412, null, null])
  assert.equal((await get('/')).status, 200)
})

test('a 304 that is kept names no length: it has no body, and whose it speaks of is not known', async t => {
  const { get, app } = await cached(t, 'proxy_cache_valid 304 1m;', () => 'HTTP/1.1 304 Not Modified\r\n\r\n')
  for (const status of ['MISS', 'HIT']) {
    const response = await get('/')
    assert.deepEqual([response.status, response.header('x-cache')], [304, status])
    assert.equal(response.header('content-length'), null)
  }
  assert.equal(app.requests.length, 1)
})
