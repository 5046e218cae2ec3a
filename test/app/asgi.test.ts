import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { connect } from 'node:http2'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get, raw, request } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import { serve, serveApp, type Server } from '../helpers/serve.ts'
import { apps, busy, serveThings, shared, type Things } from './things.ts'

function serveAsgi(t: Scope, options: Things = {}): Promise<Server> {
  const { module = 'asgi_things:application', app = 'workers 1;' } = options
  return serveThings(t, { ...options, module, app: `kind asgi; ${app}` })
}

const usual = shared(t => serveAsgi(t))

async function seen(server: Server): Promise<string> {
  return (await get(server.port, '/seen')).text
}

test('asgi: the scope has what the client sent, in its order, path and query as bytes', async () => {
  const server = await usual()
  const headers = { 'X-Twice': ['1', '2'], Cookie: ['a=1', 'b=2'], 'X-Name': 'v' }
  const response = await get(server.port, '/scope/%C3%A9%20x?a=b&%C3', headers)
  assert.equal(response.status, 200)
  assert.equal(response.header('content-type'), 'application/json')
  const scope = JSON.parse(response.text)
  assert.equal(scope.type, 'http')
  assert.equal(scope.asgi.version, '3.0')
  assert.equal(scope.http_version, '1.1')
  assert.equal(scope.method, 'GET')
  assert.equal(scope.scheme, 'http')
  assert.equal(scope.path, '/scope/é x')
  assert.equal(scope.raw_path, '/scope/%C3%A9%20x')
  assert.equal(scope.query_string, 'a=b&%C3')
  assert.equal(scope.root_path, '')
  assert.deepEqual(scope.server, ['127.0.0.1', server.port])
  assert.equal(scope.client[0], '127.0.0.1')
  const extensions = ['http.response.early_hint', 'http.response.pathsend', 'http.response.trailers']
  assert.deepEqual(Object.keys(scope.extensions), extensions)
  assert.equal(scope.state.started, 'yes')
  const own = scope.headers.filter(([name]: [string]) => /^x-|cookie/.test(name))
  assert.deepEqual(own, [
    ['x-twice', '1'],
    ['x-twice', '2'],
    ['cookie', 'a=1'],
    ['cookie', 'b=2'],
    ['x-name', 'v'],
  ])
})

test('asgi: an HTTP/2 request’s authority comes first, as host', async t => {
  const server = await serveAsgi(t, { server: 'http2 on;' })
  const session = connect(`http://127.0.0.1:${server.port}`)
  t.after(() => session.destroy())
  const stream = session.request({
    ':path': '/scope?q',
    ':authority': 'own.example',
    'x-name': 'v',
    cookie: ['a=1', 'b=2'],
  })
  let text = ''
  for await (const part of stream.setEncoding('utf8')) text += part
  const scope = JSON.parse(text)
  assert.equal(scope.http_version, '2')
  assert.deepEqual(scope.headers[0], ['host', 'own.example'])
  assert.equal(scope.headers.filter(([name]: [string]) => name === 'host').length, 1)
  assert.deepEqual(
    scope.headers.filter(([name]: [string]) => name === 'cookie'),
    [['cookie', 'a=1; b=2']],
  )
})

test('asgi: each request has a shallow copy of the lifespan’s state', async t => {
  const server = await serveAsgi(t)
  assert.deepEqual(JSON.parse((await get(server.port, '/state')).text), { started: 'yes', shared: [1], own: true })
  const scope = JSON.parse((await get(server.port, '/scope')).text)
  assert.deepEqual(scope.state, { started: 'yes', shared: [1] })
})

test('asgi: with lifespan_state shared requests have one state, which they may change', async t => {
  const server = await serveAsgi(t, { app: 'workers 1; lifespan_state shared;' })
  for (const shared of [[1], [1, 1]])
    assert.deepEqual(JSON.parse((await get(server.port, '/state')).text), { started: 'yes', shared, own: true })
  const scope = JSON.parse((await get(server.port, '/scope')).text)
  assert.deepEqual(scope.state, { started: 'yes', shared: [1, 1], own: true })
})

for (const location of ['', 'app_buffering off;', 'app_max_temp_file_size 0;']) {
  test(`asgi: bodies of all sizes go both ways (${location || 'as it comes'})`, async t => {
    const server = await (location === '' ? usual() : serveAsgi(t, { location }))
    for (const size of [0, 10, 70_000, 3_000_000]) {
      const body = randomBytes(size)
      const expected = `${size} ${createHash('sha256').update(body).digest('hex')}`
      assert.equal((await request({ address: server.port, method: 'POST', path: '/sum', body })).text, expected)
      const echoed = await request({ address: server.port, method: 'POST', path: '/echo', body })
      assert.ok(echoed.body.equals(body), `${size}`)
    }
    const stream = await get(server.port, '/stream?100')
    assert.equal(stream.body.length, 6_553_600)
  })
}

test('asgi: 200 requests that wait are served by one worker at a time', async t => {
  const server = await serveAsgi(t, { threads: 2 })
  await get(server.port, '/pid')
  const begun = performance.now()
  const responses = await Promise.all(Array.from({ length: 200 }, () => get(server.port, '/sleep?0.5')))
  assert.ok(responses.every(one => one.text === 'slept'))
  // One after another they would take 100 s.
  assert.ok(performance.now() - begun < 60_000)
})

test('asgi: a worker gets no more than worker_connections at a time, the others wait', async t => {
  const server = await serveAsgi(t, { threads: 2, app: 'workers 1; worker_connections 3;' })
  const responses = await Promise.all(Array.from({ length: 9 }, () => get(server.port, '/busy')))
  assert.equal(Math.max(...responses.map(one => Number(one.text))), 3)
})

test('asgi: the worker with the fewest requests is next', async t => {
  const server = await serveAsgi(t, { app: 'workers 2;' })
  await eventually(async () => {
    const both = await Promise.all(Array.from({ length: 2 }, () => get(server.port, '/pid')))
    return new Set(both.map(one => one.text)).size === 2
  })
})

test('asgi: events reach the client as they are sent, and the application hears of its leaving', async t => {
  test('asgi: with lifespan_state shared requests have one state, which they may change', async t => {
    const server = await serveAsgi(t, { app: 'workers 1; lifespan_state shared;' })
    for (const shared of [[1], [1, 1]])
      assert.deepEqual(JSON.parse((await get(server.port, '/state')).text), { started: 'yes', shared, own: true })
    const scope = JSON.parse((await get(server.port, '/scope')).text)
    assert.deepEqual(scope.state, { started: 'yes', shared: [1, 1], own: true })
  })

  for (const location of ['', 'app_buffering off;']) {
    const server = await serveAsgi(t, { location })
    const client = await raw(t, server.port)
    await client.send('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
    // There are a thousand of them, one in 200 ms: who waits for the last hears of none in time.
    await client.until('data: 1')
    client.destroy()
    await eventually(async () => (await seen(server)) === 'http.disconnect')
  }
})

test('asgi: after the client has left, receive says so each time and send raises an OSError', async t => {
  const server = await serveAsgi(t)
  const client = await raw(t, server.port)
  await client.send('GET /wait HTTP/1.1\r\nHost: x\r\n\r\n')
  await busy(server, 1)
  await get(server.port, '/pid')
  client.destroy()
  await eventually(async () => (await seen(server)) === 'http.disconnect+http.disconnect OSError')
  assert.ok(!server.errorLog().includes('error in application'))
})

test('asgi: send waits for a slow client, whose leaving ends it', async t => {
  const server = await serveAsgi(t, { location: 'app_buffering off;' })
  const client = await raw(t, server.port)
  client.socket.pause()
  await client.send('GET /stream?100000 HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await get(server.port, '/pid')).status, 200)
  await new Promise(resolve => setTimeout(resolve, 300))
  assert.equal(await seen(server), '')
  client.destroy()
  await eventually(async () => (await seen(server)) === 'OSError')
})

test('asgi: the server frames the response, and sends HEAD no body', async () => {
  const server = await usual()
  const response = await get(server.port, '/framing')
  assert.equal(response.header('content-length'), '3')
  assert.equal(response.header('transfer-encoding'), null)
  assert.equal(response.header('set-cookie'), 'a=1, b=2')
  const head = await request({ address: server.port, method: 'HEAD', path: '/framing' })
  assert.equal(head.header('content-length'), '3')
  assert.equal(head.body.length, 0)
})

test('asgi: HEAD of what does not end is answered, holds up nobody, and ends when the client leaves', async t => {
  const server = await serveAsgi(t)
  const client = await raw(t, server.port)
  await client.send('HEAD /endless HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.match(await client.until('\r\n\r\n'), /x-endless: yes/i)
  assert.equal(await seen(server), '')
  client.destroy()
  await eventually(async () => (await seen(server)) === 'end')
  const whole = await request({ address: server.port, method: 'HEAD', path: '/stream?3' })
  assert.deepEqual([whole.status, whole.body.length], [200, 0])
})

test('asgi: messages out of order are the application’s error; without a whole response it is a 500 or a cut', async () => {
  const server = await usual()
  assert.match((await get(server.port, '/order')).text, /was sent before "http.response.start"/)
  assert.equal((await get(server.port, '/boom')).status, 500)
  assert.equal((await get(server.port, '/nothing')).status, 500)
  assert.equal((await get(server.port, '/head-only')).status, 500)
  await assert.rejects(get(server.port, '/half'))
  await eventually(() => /RuntimeError: boom.*GET \/boom/.test(server.errorLog()))
  await eventually(() => /returned before its response was complete/.test(server.errorLog()))
})

test('asgi: a request that takes too long is a 504 and is cancelled; the worker lives on', async t => {
  const server = await serveAsgi(t, { app: 'workers 1; timeout 2s;' })
  const pid = (await get(server.port, '/pid')).text
  assert.equal((await get(server.port, '/sleep?30')).status, 504)
  await new Promise(resolve => setTimeout(resolve, 100))
  assert.equal((await get(server.port, '/pid')).text, pid)
})

test('asgi: an event loop that is blocked is a 504, and its worker is replaced', async t => {
  const server = await serveAsgi(t, { app: 'workers 1; timeout 2s;' })
  const pid = (await get(server.port, '/pid')).text
  assert.equal((await get(server.port, '/block?60')).status, 504)
  await eventually(() => server.errorLog().includes(`worker process ${pid} exited on signal`))
  await eventually(async () => (await get(server.port, '/pid')).status === 200)
})

test('asgi: after max_requests a worker makes room for another, and no request is lost', async t => {
  const server = await serveAsgi(t, { threads: 2, app: 'workers 2; max_requests 20 jitter=5;' })
  const pids = new Set<string>()
  for (let i = 0; i < 1000 && pids.size < 4; i++) {
    const responses = await Promise.all(Array.from({ length: 5 }, () => get(server.port, '/pid')))
    for (const one of responses) {
      assert.equal(one.status, 200)
      pids.add(one.text)
    }
  }
  assert.ok(pids.size >= 4, `${pids.size} workers`)
})

test('asgi: a reload serves every request, and the old worker’s lifespan is shut down', async t => {
  const server = await serveAsgi(t)
  const before = (await get(server.port, '/pid')).text
  const over = new AbortController()
  const statuses: number[] = []
  const stream = (async () => {
    while (!over.signal.aborted) statuses.push((await get(server.port, '/sleep?0.01')).status)
  })()
  await server.reload()
  await eventually(async () => (await get(server.port, '/pid')).text !== before)
  await eventually(() => existsSync(join(server.dir, 'shutdown')))
  over.abort()
  await stream
  assert.ok(
    statuses.every(status => status === 200),
    statuses.join(' '),
  )
})

for (const module of ['asgi_things:two', 'asgi_things:plain']) {
  test(`asgi: "${module}", which is no coroutine function of three arguments, is served`, async t => {
    const server = await serveAsgi(t, { module })
    const scope = JSON.parse((await get(server.port, '/scope')).text)
    assert.deepEqual(scope.state, { started: 'yes', shared: [] })
    assert.equal((await request({ address: server.port, method: 'POST', path: '/echo', body: 'abc' })).text, 'abc')
  })
}

test('asgi: tasks in the background are cancelled when the worker leaves, and come to their end', async t => {
  const server = await serveAsgi(t)
  assert.equal((await get(server.port, '/background')).text, 'begun')
  await server.reload()
  await eventually(() => existsSync(join(server.dir, 'shutdown-background')))
})

test('asgi: what ends neither with its client nor in time is cut off, so that the lifespan is shut down', async t => {
  const server = await serveAsgi(t, { app: 'workers 1; graceful_timeout 4s;' })
  const client = await raw(t, server.port)
  await client.send('GET /sleep?1000 HTTP/1.1\r\nHost: x\r\n\r\n')
  await busy(server, 1)
  client.destroy()
  await server.reload()
  await eventually(() => existsSync(join(server.dir, 'shutdown')))
})

test('asgi: what outlasts the retirement of its worker is cut off, so that the lifespan is shut down', async t => {
  const server = await serveAsgi(t, { app: 'workers 1; timeout 1s; graceful_timeout 4s; max_requests 3;' })
  const client = await raw(t, server.port)
  await client.send('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
  await busy(server, 1)
  const pids = new Set<string>()
  await eventually(async () => pids.add((await get(server.port, '/pid')).text).size > 1)
  await eventually(() => existsSync(join(server.dir, 'shutdown')))
})

test('asgi: a 304 has no Content-Length of an empty body; a head that was refused leaves nothing behind', async () => {
  const server = await usual()
  const unchanged = await get(server.port, '/not-modified')
  assert.deepEqual([unchanged.status, unchanged.header('content-length')], [304, null])
  assert.equal((await get(server.port, '/second-try')).text, 'second')
})

test('asgi: an application that fails to start is a 502 and its message a line of the log', async t => {
  const server = await serveAsgi(t, { module: 'asgi_things:failing' })
  assert.equal((await get(server.port, '/')).status, 502)
  await eventually(() => /failed to start: no database/.test(server.errorLog()))
})

test('asgi: an application that does not know lifespan is served without', async t => {
  const server = await serveAsgi(t, { module: 'asgi_things:without_lifespan' })
  assert.equal((await get(server.port, '/')).text, 'served')
})

test('asgi: "portico serve -k uvicorn.workers.UvicornWorker" serves the application', async t => {
  const server = await serveApp(t, [
    '-k',
    'uvicorn.workers.UvicornWorker',
    '--pythonpath',
    apps,
    'asgi_things:application',
  ])
  assert.equal((await get(server.port, '/sleep?0')).text, 'slept')
})

test('asgi: Django’s ASGI application is served, with forms and streams', async t => {
  if (!needs(t, 'django')) return
  const server = await serve(t, {
    conf: `http { app site { directory %%DIR%%; module site_asgi:application; kind asgi; workers 1; python ${PYTHON}; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass site; } } }`,
    files: { 'site_asgi.py': DJANGO },
  })
  assert.equal((await get(server.port, '/hello/?name=W%C3%B6rld')).text, 'Hello Wörld')
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  assert.equal(
    (await request({ address: server.port, method: 'POST', path: '/form/', headers, body: 'a=1&b=2' })).text,
    '1+2',
  )
  assert.equal((await get(server.port, '/stream/')).text, 'one two')
  assert.equal((await get(server.port, '/none/')).status, 404)
})

test('asgi: Starlette’s requests, streams and background tasks work', async t => {
  if (!needs(t, 'starlette')) return
  const server = await serve(t, {
    conf: `http { app site { directory %%DIR%%; module star:app; kind asgi; workers 1; python ${PYTHON}; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass site; } } }`,
    files: { 'star.py': STARLETTE },
  })
  assert.equal(
    (await request({ address: server.port, method: 'POST', path: '/json', body: '{"a": 2}' })).text,
    '{"a":2}',
  )
  assert.equal((await get(server.port, '/stream')).text, '01234')
  assert.equal((await get(server.port, '/task')).text, 'begun')
  await eventually(async () => (await get(server.port, '/ran')).text === 'yes')
})

const DJANGO = `
import asyncio
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'], SECRET_KEY='x', DEBUG=False)

async def hello(request):
    await asyncio.sleep(0)
    return HttpResponse('Hello ' + request.GET['name'])

def form(request):
    return HttpResponse(request.POST['a'] + '+' + request.POST['b'])

def stream(request):
    return StreamingHttpResponse(['one ', 'two'])

urlpatterns = [path('hello/', hello), path('form/', form), path('stream/', stream)]
application = get_asgi_application()
`

const STARLETTE = `
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

ran = []

async def json(request):
    return JSONResponse(await request.json())

async def stream(request):
    async def numbers():
        for number in range(5):
            yield str(number)
    return StreamingResponse(numbers())

async def task(request):
    return PlainTextResponse('begun', background=BackgroundTask(ran.append, 1))

async def has_run(request):
    return PlainTextResponse('yes' if ran else 'no')

app = Starlette(routes=[
    Route('/json', json, methods=['POST']), Route('/stream', stream), Route('/task', task), Route('/ran', has_run)])
`
