// wsgi.errors: bare lines under `portico serve`, as Gunicorn has them, and entries of the error log in an app block unless it says
// otherwise. JSON must stay JSON.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, PYTHON, serve, serveApp } from '../helpers/index.ts'

const env = { PORTICO_PYTHON: PYTHON }
const LINE = '{"said": "\u00fcber \\u001b[31m", "path": "/1"}'
const files = {
  'own.py': `import json
def application(environ, start_response):
    environ['wsgi.errors'].write('{"said": "\u00fcber \\\\u001b[31m", "path": "%s"}\\n' % environ['PATH_INFO'])
    environ['wsgi.errors'].write('two' + chr(27) + '\\n\\nlines')
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/fails':
        raise ValueError('ours')
    return [b'ok']
`,
}
const read = ({ dir }: { dir: string }, name: string): string => readFileSync(join(dir, name), 'utf8')
const lines = (text: string): string[] => text.split('\n')

for (const kind of [[], ['-k', 'gthread', '--threads', '2'], ['-k', 'gevent']]) {
  test(`own errors: serve leaves them as they are (${kind[1] ?? 'sync'})`, async t => {
    if (!needs(t, 'python3') || (kind[1] === 'gevent' && !needs(t, 'gevent'))) return
    const server = await serveApp(t, [...kind, 'own'], { files, env })
    await get(server.port, '/1')
    await eventually(() => lines(server.output).includes('lines'))
    const said = lines(server.output)
    const first = said.indexOf(LINE)
    assert.deepEqual(said.slice(first, first + 4), [LINE, 'two\x1b', '', 'lines'], server.output)
  })
}

test('own errors: they are in the error log’s file, whatever its level, and what is said about the application is framed', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--error-logfile', 'e.log', '--log-level', 'critical', 'own'], { files, env })
  await get(server.port, '/1')
  await eventually(() => lines(read(server, 'e.log')).includes('lines'))
  assert.equal(lines(read(server, 'e.log'))[0], LINE)
  const second = await serveApp(t, ['--error-logfile', 'e.log', 'own'], { files, env })
  await get(second.port, '/fails')
  await eventually(() => second.file('e.log').includes('ValueError: ours'))
  assert.match(second.file('e.log'), /^\S+ \S+ \[error\] .*\nTraceback/m)
})

for (const [how, directive] of [
  ['log', ''],
  ['plain', 'wsgi_errors plain;'],
] as const) {
  test(`own errors: an app block has them ${how === 'log' ? 'in entries with their request' : 'plain when it says so'}`, async t => {
    if (!needs(t, 'python3')) return
    const server = await serve(t, {
      conf: `error_log own.log warn; http {
        app own { directory %%DIR%%; module own; workers 1; environment PYTHONDONTWRITEBYTECODE=1; ${directive} }
        server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
      files: { ...files, 'app_temp/.keep': '' },
    })
    await get(server.port, '/1')
    const text = (): string => read(server, 'own.log')
    await eventually(() => text().includes('lines'))
    if (how === 'plain') assert.deepEqual(lines(text()).slice(-5), [LINE, 'two\x1b', '', 'lines', ''])
    else assert.match(text(), /\[error\] .*\{"said".*\}, client: 127\.0\.0\.1, .*request: "GET \/1 HTTP\/1\.1"/)
  })
}
