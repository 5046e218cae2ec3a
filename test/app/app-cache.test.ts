// app_cache: what an application has answered, served again without it. What is asked of it is in the file `asked`.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import type { Response } from '../helpers/message.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'
import { busy } from './things.ts'

/** `/old…` has been stale since 1970; `/gate…` waits for the file `go`; with a file `broken`, `/…dies` and `/…fails` do. */
const PYTHON = `import os, time
os.chdir(os.path.dirname(os.path.abspath(__file__)))

def asked(method, path, etag, range_):
    with open('asked', 'a') as file:
        file.write('%s %s %s %s\\n' % (method, path, etag or '-', range_ or '-'))
    with open('asked') as file:
        return len(file.readlines())

def fields(path, count):
    yield 'Content-Type', 'text/plain'
    yield 'ETag', '"one"'
    yield 'X-Odd-NAME', 'kept'
    yield 'Date', 'never'
    if path.startswith('/old'): yield 'X-Accel-Expires', '@1000'
    if path == '/never': yield 'X-Accel-Expires', '0'
    if path == '/lang': yield 'Vary', 'Accept-Language'
    if path.startswith('/cookie'): yield 'Set-Cookie', 'count=%d' % count
    if path == '/live': yield 'X-Accel-Buffering', 'no'
    if path == '/elsewhere': yield 'X-Accel-Redirect', '/page'
    if path == '/short': yield 'Content-Length', '1000'

def fault(path):
    if not os.path.exists('broken'): return False
    if path.endswith('dies'): os._exit(3)
    return path.endswith('fails')
`
const FILES = {
  'wsgi.py': `${PYTHON}
def application(environ, start_response):
    path = environ['PATH_INFO']
    etag = environ.get('HTTP_IF_NONE_MATCH')
    count = asked(environ['REQUEST_METHOD'], path, etag, environ.get('HTTP_RANGE'))
    while path.startswith('/gate') and not os.path.exists('go'): time.sleep(0.01)
    if fault(path):
        start_response('500 Oh', [])
        return [b'oh']
    if etag == '"one"':
        start_response('304 Not Modified', [])
        return []
    start_response('200 Fine', list(fields(path, count)))
    return [b'%d' % count] if path != '/big' else (b'%d' % (count % 10) * 50000 for _ in range(4))
`,
  'asgi.py': `import asyncio
${PYTHON}
async def application(scope, receive, send):
    path = scope['path']
    headers = {name: value.decode() for name, value in scope['headers']}
    etag = headers.get(b'if-none-match')
    count = asked(scope['method'], path, etag, headers.get(b'range'))
    while path.startswith('/gate') and not os.path.exists('go'): await asyncio.sleep(0.01)
    async def answer(status, fields, *pieces):
        await send({'type': 'http.response.start', 'status': status,
            'headers': [(name.encode(), value.encode()) for name, value in fields]})
        for piece in pieces: await send({'type': 'http.response.body', 'body': piece, 'more_body': True})
        await send({'type': 'http.response.body'})
    if fault(path): await answer(500, [], b'oh')
    elif etag == '"one"': await answer(304, [])
    else: await answer(200, fields(path, count), *([b'%d' % count] if path != '/big' else [b'%d' % (count % 10) * 50000] * 4))
`,
  'node.mjs': `import fs from 'node:fs'
process.chdir(import.meta.dirname)
const fields = (path, count) => ({
  'Content-Type': 'text/plain', ETag: '"one"', 'X-Odd-NAME': 'kept',
  ...(path.startsWith('/old') && { 'X-Accel-Expires': '@1000' }),
  ...(path === '/never' && { 'X-Accel-Expires': '0' }),
  ...(path === '/lang' && { Vary: 'Accept-Language' }),
  ...(path.startsWith('/cookie') && { 'Set-Cookie': 'count=' + count }),
  ...(path === '/live' && { 'X-Accel-Buffering': 'no' }),
  ...(path === '/elsewhere' && { 'X-Accel-Redirect': '/page' }),
})
export default async (q, s) => {
  const path = q.url
  const etag = q.headers['if-none-match']
  fs.appendFileSync('asked', [q.method, path, etag ?? '-', q.headers.range ?? '-'].join(' ') + '\\n')
  const count = fs.readFileSync('asked', 'utf8').split('\\n').length - 1
  while (path.startsWith('/gate') && !fs.existsSync('go')) await new Promise(resolve => setTimeout(resolve, 10))
  const broken = fs.existsSync('broken')
  if (broken && path.endsWith('dies')) process.exit(3)
  if (broken && path.endsWith('fails')) return s.writeHead(500).end('oh')
  if (etag === '"one"') return s.writeHead(304).end()
  s.writeHead(200, 'Fine', fields(path, count))
  if (path !== '/big') return s.end(String(count))
  for (let i = 0; i < 4; i++) s.write(String(count % 10).repeat(50000))
  s.end()
}`,
}

interface Caching extends Server {
  /** What the application was asked, a line each. */
  asked(): string[]
  note(name: string): void
}

async function caching(t: TestContext, module: string, app = 'workers 1;', location = ''): Promise<Caching> {
  const kind = module === 'asgi' ? 'kind asgi;' : ''
  const server = await serve(t, {
    conf: `http {
      app_cache_path cache keys_zone=pages:1m;
      app own { directory %%DIR%%; module ${module}; ${kind} ${app} environment PYTHONDONTWRITEBYTECODE=1; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        add_header X-Cache $upstream_cache_status always;
        app_cache pages; app_cache_valid 1h;
        location / { app_pass own; ${location} }
        location /old/ { app_pass own; app_cache_use_stale error timeout http_500 http_503; }
        location /old/later { app_pass own; app_cache_use_stale updating; app_cache_background_update on; }
        location /old/asked { app_pass own; app_cache_revalidate on; }
        location /cookies { app_pass own; app_ignore_headers Set-Cookie; app_hide_header set-cookie; }
        location /plain/ { app_pass own; app_accel off; }
        location = /status { app_cache off; app_status; }
      } }`,
    files: { ...FILES, asked: '', 'cache/.keep': '', 'app_temp/.keep': '' },
  })
  const asked = (): string[] => readFileSync(join(server.dir, 'asked'), 'utf8').split('\n').slice(0, -1)
  return Object.assign(server, { asked, note: (name: string) => writeFileSync(join(server.dir, name), '') })
}

const LOCK = 'app_cache_lock on; app_cache_lock_timeout 60s; app_cache_lock_age 60s;'

const seen = (response: Response): unknown[] => [response.status, response.header('x-cache'), response.text]

for (const module of ['wsgi', 'asgi', './node.mjs']) {
  test(`app_cache: ${module} answers once, and the cache after that`, async t => {
    const server = await caching(t, module)
    const first = await get(server.port, '/page')
    assert.deepEqual(seen(first), [200, 'MISS', '1'])
    const second = await get(server.port, '/page')
    assert.deepEqual(seen(second), [200, 'HIT', '1'])
    assert.equal(second.header('etag'), '"one"')
    assert.match(second.head, /^X-Odd-NAME: kept$/m)
    assert.equal(first.headers.length, second.headers.length)
    assert.deepEqual(seen(await get(server.port, '/page', { 'If-None-Match': '"one"' })), [304, 'HIT', ''])
    assert.deepEqual(seen(await get(server.port, '/page', { Host: 'other' })), [200, 'MISS', '2'])
    assert.deepEqual(server.asked(), ['GET /page - -', 'GET /page - -'])
  })

  test(`app_cache: ${module} is asked for all of it by who wants the head, a part, or news`, async t => {
    const server = await caching(t, module)
    const head = await request({ address: server.port, method: 'HEAD', path: '/a' })
    assert.deepEqual([head.status, head.header('x-cache')], [200, 'MISS'])
    assert.deepEqual(seen(await get(server.port, '/b', { Range: 'bytes=0-0' })), [200, 'MISS', '2'])
    assert.deepEqual(seen(await get(server.port, '/c', { 'If-None-Match': '"one"' })), [304, 'MISS', ''])
    for (const [path, body] of Object.entries({ '/a': '1', '/b': '2', '/c': '3' }))
      assert.deepEqual(seen(await get(server.port, path)), [200, 'HIT', body])
    const posted = await request({ address: server.port, method: 'POST', path: '/a', body: 'x' })
    assert.deepEqual(seen(posted), [200, null, '4'])
    assert.deepEqual(server.asked(), ['GET /a - -', 'GET /b - -', 'GET /c - -', 'POST /a - -'])
  })

  test(`app_cache: what ${module} says about keeping it holds`, async t => {
    const server = await caching(t, module)
    for (const path of ['/never', '/cookie', '/live']) {
      const [first, second] = [await get(server.port, path), await get(server.port, path)]
      assert.deepEqual([first.header('x-cache'), second.header('x-cache')], ['MISS', 'MISS'], path)
      assert.notEqual(first.text, second.text)
    }
    const asked = server.asked().length
    const cookies = [await get(server.port, '/cookies'), await get(server.port, '/cookies')]
    for (const response of cookies) assert.equal(response.header('set-cookie'), null)
    assert.deepEqual(
      cookies.map(response => response.header('x-cache')),
      ['MISS', 'HIT'],
    )
    const languages = ['de', 'en', 'de', 'en']
    const texts: string[] = []
    for (const language of languages)
      texts.push((await get(server.port, '/lang', { 'Accept-Language': language })).text)
    assert.deepEqual(texts, [asked + 2, asked + 3, asked + 2, asked + 3].map(String))
    // Redirected within; and kept is what the other location answers.
    await get(server.port, '/elsewhere')
    const again = await get(server.port, '/elsewhere')
    assert.deepEqual(
      server
        .asked()
        .slice(-3)
        .map(line => line.split(' ')[1]),
      ['/elsewhere', '/page', '/elsewhere'],
    )
    assert.equal(again.header('x-cache'), 'HIT')
  })

  test(`app_cache_lock: one of many asks ${module}`, async t => {
    const server = await caching(t, module, 'workers 1;', LOCK)
    const all = [0, 1, 2, 3].map(() => get(server.port, '/gate'))
    await eventually(() => server.asked().length === 1)
    server.note('go')
    const found = (await Promise.all(all)).map(seen)
    assert.deepEqual(
      found.map(one => one[2]),
      ['1', '1', '1', '1'],
    )
    assert.deepEqual(found.filter(one => one[1] === 'MISS').length, 1)
  })

  test(`app_cache_use_stale: what ${module} said before stands for what it cannot say now`, async t => {
    const server = await caching(t, module)
    for (const path of ['/old/dies', '/old/fails'])
      assert.equal((await get(server.port, path)).header('x-cache'), 'MISS')
    assert.deepEqual(seen(await get(server.port, '/old/dies')), [200, 'EXPIRED', '3'])
    server.note('broken')
    assert.deepEqual(seen(await get(server.port, '/old/fails')), [200, 'STALE', '2'])
    assert.deepEqual(seen(await get(server.port, '/old/dies')), [200, 'STALE', '3'])
    assert.deepEqual(seen(await get(server.port, '/old/dies/not')), [200, 'MISS', '6'])
  })

  test(`app_cache_background_update: ${module} is asked behind the client’s back`, async t => {
    const server = await caching(t, module)
    await get(server.port, '/old/later')
    assert.deepEqual(seen(await get(server.port, '/old/later')), [200, 'STALE', '1'])
    await eventually(() => server.asked().length === 2)
    assert.deepEqual(server.asked(), ['GET /old/later - -', 'GET /old/later - -'])
    await eventually(async () => (await get(server.port, '/old/later')).text !== '1')
  })

  test(`app_cache_revalidate: ${module} says that it is as good as new`, async t => {
    const server = await caching(t, module)
    await get(server.port, '/old/asked')
    assert.deepEqual(seen(await get(server.port, '/old/asked')), [200, 'REVALIDATED', '1'])
    assert.deepEqual(server.asked(), ['GET /old/asked - -', 'GET /old/asked "one" -'])
  })

  test(`app_cache: a big answer of ${module} is kept, and one whose client leaves`, async t => {
    const server = await caching(t, module, 'workers 1;', LOCK)
    const big = await get(server.port, '/big')
    assert.equal(big.text, '1'.repeat(200_000))
    const kept = await get(server.port, '/big')
    assert.deepEqual([kept.header('x-cache'), kept.header('content-length')], ['HIT', '200000'])
    assert.equal(kept.text, big.text)
    const client = await raw(t, server.port)
    await client.send('GET /gate/big HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => server.asked().length === 2)
    client.destroy()
    await eventually(() => / 499 /.test(readFileSync(join(server.dir, 'logs/access.log'), 'latin1')))
    server.note('go')
    assert.deepEqual(seen(await get(server.port, '/gate/big', { Host: 'a' })), [200, 'HIT', '2'])
  })

  test(`app_accel off: fields for an nginx before us say nothing to the cache of ${module}`, async t => {
    const server = await caching(t, module)
    assert.deepEqual(seen(await get(server.port, '/plain/page')), [200, 'MISS', '1'])
    assert.deepEqual(seen(await get(server.port, '/plain/page')), [200, 'HIT', '1'])
  })
}

test('app_cache: what is not as long as it said is not kept', async t => {
  const server = await caching(t, 'wsgi')
  for (let i = 1; i < 3; i++) {
    const client = await raw(t, server.port)
    await client.send('GET /short HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => client.ended)
    assert.match(client.received.toString('latin1'), /X-Cache: MISS/)
    assert.equal(server.asked().length, i)
  }
})

test('app_cache_use_stale http_503: with the queue full, what is old will do', async t => {
  const server = await caching(t, 'wsgi', 'workers 1; queue 1; prefetch 0;')
  await get(server.port, '/old/page')
  const held = [get(server.port, '/gate/1')]
  await busy(server, 1, 0, 'own')
  held.push(get(server.port, '/gate/2'))
  await busy(server, 1, 1, 'own')
  assert.deepEqual(seen(await get(server.port, '/old/page')), [200, 'STALE', '1'])
  assert.equal((await get(server.port, '/page')).status, 503)
  server.note('go')
  for (const response of await Promise.all(held)) assert.equal(response.status, 200)
})

test('app_cache: the kept answer comes without a worker, of an application that cannot be loaded too', async t => {
  const server = await caching(t, './node.mjs')
  await get(server.port, '/page')
  writeFileSync(join(server.dir, 'node.mjs'), 'throw new Error("broken")')
  server.note('broken')
  assert.equal((await get(server.port, '/dies')).status, 502)
  assert.deepEqual(seen(await get(server.port, '/page')), [200, 'HIT', '1'])
})
