// What applications are told of HTTP/2, under the names that Gunicorn has for it: priorities, and fields behind the body.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { raw, serve } from '../helpers/index.ts'
import { block, frame, get, headers, http2, uint32 } from '../helpers/http2.ts'

const WSGI = `import wsgiref.validate

def fields(environ):
    return [(name, environ[name]) for name in ('gunicorn.http2.priority_weight', 'gunicorn.http2.priority_depends_on')]

def echo(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    told = fields(environ) if 'gunicorn.http2.send_trailers' in environ else []
    return [repr((environ.get('HTTP_VERSION'), [value for _, value in told])).encode()]

def whole(environ, start_response):
    send = environ['gunicorn.http2.send_trailers']
    send([('x-lost', 'replaced by the next')])
    send([('X-Sum', ' 42 '), (b'x-b', b'bytes'), ('Connection', 'close')])
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Trailer', 'x-sum')])
    return [b'whole']

def parts(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    yield b'pa'
    yield b'rts'
    environ['gunicorn.http2.send_trailers']([('x-parts', '2')])

def none(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    yield b'no'
    yield b'ne'

def empty(environ, start_response):
    environ['gunicorn.http2.send_trailers']([('x-empty', '')])
    start_response('404 Not Found', [('Content-Type', 'text/plain'), ('Content-Length', '0')])
    return []

def wrong(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    try:
        environ['gunicorn.http2.send_trailers']([(':status', '200')])
    except ValueError as error:
        return [str(error).encode()]
    return [b'accepted']

def application(environ, start_response):
    return {'/whole': whole, '/parts': parts, '/none': none, '/empty': empty, '/wrong': wrong}.get(
        environ['PATH_INFO'], echo)(environ, start_response)
`

const ASGI = `async def application(scope, receive, send):
    if scope['type'] != 'http':
        return
    if scope['path'] in ('/asgi/announced', '/asgi/not', '/asgi/raises'):
        await send({'type': 'http.response.start', 'status': 200, 'headers': iter([(b'Trailer', b'x-sum')])})
        await send({'type': 'http.response.body', 'body': b'announced'})
        if scope['path'] == '/asgi/announced':
            await send({'type': 'http.response.trailers', 'headers': [(b'x-sum', b'42')]})
        if scope['path'] == '/asgi/raises':
            raise ValueError('behind the response')
        return
    told = scope['http_version'], scope['extensions'].get('http.response.priority')
    await send({'type': 'http.response.start', 'status': 200, 'trailers': True})
    await send({'type': 'http.response.body', 'body': repr(told).encode()})
    await send({'type': 'http.response.trailers', 'headers': [(b'x-sum', b'42')]})
`

function start(t: Parameters<typeof serve>[0], kind: string) {
  return serve(t, {
    conf: `http { app wsgi { directory %%DIR%%; module w:application; kind ${kind}; workers 1; }
      app asgi { directory %%DIR%%; module a:application; kind asgi; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; http2 on;
        location / { app_pass wsgi; } location /set { app_set_header X-A b; app_pass wsgi; } location /asgi { app_pass asgi; } } }`,
    files: { 'w.py': WSGI, 'a.py': ASGI },
  })
}

/** HEADERS that say which stream this one depends on, with which weight. */
function dependent(stream: number, path: string, on: number, weight: number): Buffer {
  return frame(1, 0x25, stream, Buffer.concat([uint32(on), Buffer.from([weight - 1]), block(get(path))]))
}

for (const kind of ['sync', 'threads', `gevent; python ${PYTHON}`]) {
  test(`http2: fields that a WSGI application sends behind its body come there, kind ${kind.split(';')[0]}`, async t => {
    if (kind.startsWith('gevent') && !needs(t, 'gevent')) return
    const client = await http2(t, (await start(t, kind)).port)
    client.send(...['/whole', '/parts', '/none', '/empty', '/wrong'].map((path, i) => headers(2 * i + 1, get(path))))
    const answers = []
    for (let stream = 1; stream < 10; stream += 2) {
      const { status, body, trailers } = await client.response(stream)
      answers.push([status, body, Object.fromEntries(trailers)])
    }
    assert.deepEqual(answers, [
      [200, 'whole', { 'x-sum': '42', 'x-b': 'bytes' }],
      [200, 'parts', { 'x-parts': '2' }],
      [200, 'none', {}],
      [404, '', { 'x-empty': '' }],
      [200, 'field name ":status" is not a token', {}],
    ])
    assert.deepEqual(
      [client.answer(1).fields.get('trailer'), client.answer(1).fields.get('content-length')],
      ['x-sum', '5'],
    )
    client.send(headers(11, [[':method', 'HEAD'], ...get('/whole').slice(1)]))
    const head = await client.response(11)
    assert.deepEqual([head.status, head.body, head.trailers.size], [200, '', 0])
  })
}

test('http2: applications are told of the priority that a client gives a stream', async t => {
  const client = await http2(t, (await start(t, 'sync')).port)
  client.send(
    headers(1, get()),
    dependent(3, '/', 0, 256),
    dependent(5, '/set', 3, 1),
    frame(2, 0, 7, [0, 0, 0, 3, 99]),
  )
  client.send(headers(7, get()), headers(9, get('/asgi')), dependent(11, '/asgi', 9, 200))
  const told: string[] = []
  for (let stream = 1; stream < 12; stream += 2) told.push((await client.response(stream)).body)
  assert.deepEqual(told, [
    "('2', [16, 0])",
    "('2', [256, 0])",
    "('2', [1, 3])",
    "('2', [100, 3])",
    "('2', {'weight': 16, 'depends_on': 0})",
    "('2', {'weight': 200, 'depends_on': 9})",
  ])
  // Nobody has to ask for trailers.
  assert.equal(client.answer(9).trailers.get('x-sum'), '42')
  // A field that announces them is enough, and need not be kept to.
  client.send(headers(13, get('/asgi/announced')), headers(15, get('/asgi/not')), headers(17, get('/asgi/raises')))
  for (const [stream, sum] of [
    [13, '42'],
    [15, undefined],
    [17, undefined],
  ] as const) {
    const { body, trailers, reset } = await client.response(stream)
    assert.deepEqual([body, trailers.get('x-sum'), reset], ['announced', sum, null])
  }
})

test('http2: requests of HTTP/1.1 have none of it', async t => {
  const server = await start(t, 'sync')
  const client = await raw(t, server.port)
  assert.equal((await client.request()).text, '(None, [])')
  assert.equal((await client.request({ path: '/asgi' })).text, "('1.1', None)")
})
