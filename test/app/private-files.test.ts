// Files that an application may read and the front, as another user, may not: they are read by the worker.

import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import test from 'node:test'
import { needs, needsOtherUsers, PYTHON } from '../helpers/needs.ts'
import { get } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const SIZE = 200_000

const OWN = `import os, tempfile

MODES = {'/private': (0o600, 0o755), '/hidden': (0o644, 0o700), '/public': (0o644, 0o755)}

def made(path):
    mode, folder = MODES[path]
    directory = tempfile.mkdtemp(dir=os.path.dirname(__file__))
    os.chmod(directory, folder)
    name = os.path.join(directory, 'file')
    with open(name, 'wb') as file:
        file.write(b'f' * ${SIZE})
    os.chmod(name, mode)
    return name

def application(environ, start_response):
    start_response('200 OK', [])
    return environ['wsgi.file_wrapper'](open(made(environ['PATH_INFO']), 'rb'))

async def asgi(scope, receive, send):
    if scope['type'] != 'http':
        raise ValueError
    await send({'type': 'http.response.start', 'status': 200})
    await send({'type': 'http.response.pathsend', 'path': made(scope['path'])})
`

test('app_pass: a file that only the application’s user may read arrives whole', async t => {
  if (!needsOtherUsers(t) || !needs(t, 'python3')) return
  const dir = tempDir(t)
  chmodSync(dir, 0o777)
  const app = (name: string, rest: string) =>
    `app ${name} { directory ${dir}; python ${PYTHON}; workers 1; user 54321 54321; ${rest} }`
  const server = await serve(t, {
    dir,
    files: { 'own.py': OWN },
    conf: `user nobody nogroup; http {
      ${app('one', 'module own;')}
      ${app('two', 'kind asgi; module own:asgi;')}
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass one; } location /asgi/ { rewrite ^/asgi(.*) $1 break; app_pass two; } } }`,
  })
  for (const path of ['/private', '/hidden', '/public']) {
    for (const prefix of ['', '/asgi']) {
      const { status, body } = await get(server.port, prefix + path)
      assert.deepEqual([status, body.length], [200, SIZE], `${prefix}${path}\n${server.errorLog()}`)
    }
  }
})
