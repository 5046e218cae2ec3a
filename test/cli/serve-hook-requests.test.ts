// What hooks of a gunicorn.conf.py change of requests and of the application itself, and what they find at either.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually, get, needs, PYTHON, raw, request, serveApp } from '../helpers/index.ts'
import { env } from './serve-command.ts'

const WSGI = `def application(environ, start_response):
    start_response('200 OK', [])
    names = ['PATH_INFO', 'QUERY_STRING', 'HTTP_X_BUSY', 'HTTP_X_TWICE', 'HTTP_X_GONE', 'CONTENT_TYPE', 'wsgi.url_scheme']
    return ['|'.join(environ.get(name, '') for name in names).encode('latin-1')]
`
const ASGI = `async def application(scope, receive, send):
    found = {}
    for name, value in scope['headers']:
        found[name] = found[name] + b',' + value if name in found else value
    parts = [scope['path'].encode(), scope['query_string']]
    parts += [found.get(name, b'') for name in (b'x-busy', b'x-twice', b'x-gone', b'content-type')] + [scope['scheme'].encode()]
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'|'.join(parts)})
`
const CHANGES = `accesslog = 'log'
access_log_format = '%(U)s %({x-busy}i)s %({x-nothing}e)s'
def pre_request(worker, req):
    req.headers.append(('x-busy', 'yes'))
    if req.path == '/change':
        req.headers = [one for one in req.headers if one[0] != 'X-GONE']
        req.path = '/other%20path'
        req.query = 'a=b'
        req.scheme = 'https'
`

for (const [kind, app] of [
  ['sync', WSGI],
  ['asgi', ASGI],
] as const) {
  test(`${kind}: the application and the log see what pre_request has changed`, async t => {
    if (!needs(t, 'python3')) return
    const files = { 'app.py': app, 'gunicorn.conf.py': CHANGES }
    const lifespan = kind === 'asgi' ? ['--asgi-lifespan', 'off'] : []
    const server = await serveApp(t, ['-k', kind, ...lifespan, 'app'], { files, env })
    const headers = { 'X-Gone': 'here', 'X-Twice': ['1', '2'], 'Content-Type': 'text/x-a' }
    const answer = await request({ address: server.port, path: '/change?c', headers })
    assert.equal(answer.text, '/other path|a=b|yes|1,2||text/x-a|https')
    assert.equal(
      (await request({ address: server.port, path: '/a?c', headers })).text,
      '/a|c|yes|1,2|here|text/x-a|http',
    )
    await eventually(() => server.file('log').includes('/a yes -\n'))
  })
}

const ATTRIBUTES = `import json, os, socket, time
proxy_protocol = True
def post_request(worker, req, environ, resp):
    listener = worker.sockets[0]
    told = {
        'proxy': req.proxy_protocol_info,
        'request': [req.req_number, req.cfg is worker.cfg],
        'response': [resp.version, resp.cfg is worker.cfg, resp.should_close()],
        'listener': [listener.sock.getsockname() == listener.cfg_addr, listener.sock.family == socket.AF_INET],
        'beat': [abs(time.monotonic() - worker.tmp.last_update()) < 60, os.fstat(worker.tmp.fileno()).st_size],
        'tls': sorted(worker.cfg.ssl_options),
        'statsd': worker.cfg.statsd_host,
        'text': 'proxy_protocol' in str(worker.cfg),
    }
    with open('told.new', 'w') as file:
        json.dump(told, file)
    os.rename('told.new', 'told')
`

test('rare attributes of requests, responses, listeners and workers are there', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'app.py': WSGI, 'gunicorn.conf.py': ATTRIBUTES }
  const server = await serveApp(t, ['--statsd-host', '127.0.0.1:9', 'app'], { files, env })
  const client = await raw(t, server.port)
  await client.send('PROXY TCP4 192.0.2.1 192.0.2.2 123 456\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await client.response()).status, 200)
  await eventually(() => server.file('told') !== '')
  const info = { proxy_protocol: 'TCP4', client_addr: '192.0.2.1', client_port: 123 }
  assert.deepEqual(JSON.parse(server.file('told')), {
    proxy: { ...info, proxy_addr: '192.0.2.2', proxy_port: 456 },
    request: [1, true],
    response: ['gunicorn', true, false],
    listener: [true, true],
    beat: [true, 0],
    tls: [
      'ca_certs',
      'cert_reqs',
      'certfile',
      'ciphers',
      'do_handshake_on_connect',
      'keyfile',
      'ssl_version',
      'suppress_ragged_eofs',
    ],
    statsd: ['127.0.0.1', 9],
    text: true,
  })
})

const SAYS = `import os
def said(word):
    def answer(environ, start_response):
        start_response('200 OK', [])
        return [word.encode()]
    return answer
def count():
    with open('made', 'a') as file:
        print(os.getpid(), file=file)
    return said('module')
`

for (const [name, hook, text] of [
  [
    'post_fork brings the application',
    'def post_fork(server, worker):\n    worker.app.callable = said("hook")',
    'hook',
  ],
  [
    'post_worker_init wraps the application',
    `def post_worker_init(worker):
    inner = worker.wsgi
    def outer(environ, start_response):
        return [b'outer '] + inner(environ, start_response)
    worker.wsgi = outer`,
    'outer module',
  ],
  ['the arbiter loads the application for itself', 'def when_ready(server):\n    assert server.app.wsgi()', 'module'],
] as const) {
  test(name, async t => {
    if (!needs(t, 'python3')) return
    const files = { 'app.py': SAYS, 'gunicorn.conf.py': `workers = 2\nfrom app import said\n${hook}\n` }
    const server = await serveApp(t, ['app:count()'], { files, env })
    assert.equal((await get(server.port)).text, text, server.output)
    // Once in the arbiter, once in each worker, or not at all.
    const made = server.file('made').split('\n').length - 1
    assert.equal(made, text === 'hook' ? 0 : name.startsWith('the arbiter') ? 1 : 2)
  })
}

test('workers are of the classes that files know by their modules', t => {
  if (!needs(t, 'python3')) return
  const code = `import sys
from portico_bridge import stand_in
sys.modules['gunicorn'], sys.modules['gunicorn.glogging'] = stand_in.gunicorn_modules()
stand_in.offer_dirty()
from gunicorn import SERVER
from gunicorn.workers.base import Worker
from gunicorn.workers.sync import SyncWorker
from gunicorn.workers.gthread import ThreadWorker
from portico_bridge.config import plain_class
class Own(SyncWorker):
    pass
print(SERVER, issubclass(stand_in.KINDS['sync'], SyncWorker), issubclass(ThreadWorker, Worker), plain_class(Own)[1])
`
  const folder = fileURLToPath(new URL('../../python', import.meta.url))
  const { stdout, stderr } = spawnSync(PYTHON, ['-c', code], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
  })
  assert.equal(stdout, 'gunicorn True True gunicorn.workers.sync.SyncWorker\n', stderr)
})
