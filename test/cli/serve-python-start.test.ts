// How Python is started: where, and with which modules found, since tools that begin with it (agents, coverage) look around.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { get } from '../helpers/raw.ts'
import { serveApp } from '../helpers/serve.ts'

const SITE = `import os
SEEN = (os.getcwd(), os.path.exists('agent.ini'))
`
const SHOP = `import sitecustomize, sys

def application(environ, start_response):
    start_response('200 OK', [])
    return [repr((sitecustomize.SEEN[1], [name for name in sys.path if 'portico' in name and 'bridge' in name])).encode()]
`
const SHADOW = 'raise RuntimeError("this is not the module of the library")\n'

for (const [kind, args] of [
  ['sync', []],
  ['asgi', ['-k', 'asgi']],
] as const) {
  test(`Python starts in the folder we were started in, which PYTHONPATH and agents count on (${kind})`, async t => {
    const files = {
      'agent.ini': '',
      'site/sitecustomize.py': SITE,
      'src/shop.py': kind === 'sync' ? SHOP : asAsgi(SHOP),
      // Names of the library's modules that a program may have in its folder.
      'types.py': SHADOW,
      'signal.py': SHADOW,
      'select.py': SHADOW,
      'json.py': SHADOW,
    }
    const env = { PYTHONPATH: 'src:site' }
    const server = await serveApp(t, [...args, 'shop'], { files, env })
    assert.equal((await get(server.port, '/')).text, '(True, [])')
  })
}

test('tasks find what PYTHONPATH names, too', async t => {
  const files = {
    'src/shop.py': `from gunicorn.dirty import get_dirty_client

def application(environ, start_response):
    start_response('200 OK', [])
    return [get_dirty_client().execute('work:Work', 'add', 1, 2)]
`,
    'src/work.py': `from gunicorn.dirty import DirtyApp

class Work(DirtyApp):
    def add(self, one, other):
        return b'%d' % (one + other)
`,
  }
  const env = { PYTHONPATH: 'src' }
  const server = await serveApp(t, ['--dirty-app', 'work:Work', '--dirty-workers', '1', 'shop'], { files, env })
  assert.equal((await get(server.port, '/')).text, '3')
})

function asAsgi(module: string): string {
  return `${module}
wsgi = application

async def application(scope, receive, send):
    assert scope['type'] == 'http'
    body = wsgi({}, lambda status, headers: None)[0]
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': body})
`
}
