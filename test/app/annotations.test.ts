// Applications and hooks whose annotations name what only a type checker imports. From Python 3.14 on nobody runs annotations but who
// asks for them; before, `from __future__ import annotations` has the same effect.

import assert from 'node:assert/strict'
import test from 'node:test'
import { get, needs, PYTHON, serve, serveApp } from '../helpers/index.ts'

const EARLIER = `import sys
EARLIER = '' if sys.version_info >= (3, 14) else 'from __future__ import annotations\\n'
`

const ASGI = `${EARLIER}
exec(EARLIER + '''
async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope['type'] != 'http':
        raise RuntimeError('no lifespan')
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'typed'})
''')
`

/** What it can be called with is not to be had at all. */
const SECRETIVE = `class Application:
    @property
    def __signature__(self):
        raise RuntimeError('outside of a request')
    async def __call__(self, scope, receive, send):
        await application(scope, receive, send)
secretive = Application()
`

const CONF = `${EARLIER}
exec(EARLIER + '''
def post_fork(server: Arbiter, worker: Worker) -> None:
    server.log.info('forked')
def post_request(worker: Worker, req: Request) -> None:
    worker.log.info('asked for %s', req.path)
''')
loglevel = 'info'
`

const HELLO = `def application(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
`

for (const name of ['application', 'secretive']) {
  test(`annotations: an ASGI application is served that does not tell its signature (${name})`, async t => {
    if (!needs(t, 'python3')) return
    const server = await serve(t, {
      files: { 'typed.py': ASGI + SECRETIVE },
      conf: `
worker_processes 1;
http {
  access_log off;
  app typed { directory %%DIR%%; module typed:${name}; kind asgi; workers 1; python ${PYTHON};
    environment PYTHONDONTWRITEBYTECODE=1; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass typed; } }
}`,
    })
    assert.equal((await get(server.port, '/')).text, 'typed')
  })
}

test('annotations: hooks take as many arguments as they have, whatever those are annotated with', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': CONF }
  const server = await serveApp(t, ['hello'], { files, env: { PORTICO_PYTHON: PYTHON } })
  assert.equal((await get(server.port, '/path')).text, 'hello')
  assert.equal(await server.stop(), 0)
  assert.match(server.output, /\[INFO\] forked\n[^]*\[INFO\] asked for \/path\n/)
})
