// WSGI applications behind `portico serve`: what PEP 3333 asks for, and what happens to those that break it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, needs, request, serveApp } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'
import { env, runServe } from './serve-command.ts'

const VALIDATED = `import os
from wsgiref.validate import validator

def plain(environ, start_response):
    body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-Length', str(len(body)))])
    return [b'read ', body[:10]]

application = validator(plain)
`

const ACCEL = `def application(environ, start_response):
    start_response('200 OK', [('X-Accel-Redirect', '/protected/report.pdf'), ('X-Accel-Buffering', 'no')])
    return [b'checked']
`

const FILES = `import os, io

def application(environ, start_response):
    path = environ['PATH_INFO']
    wrapper = environ['wsgi.file_wrapper']
    start_response('200 OK', [('Content-Type', 'application/octet-stream')])
    if path == '/memory':
        return wrapper(io.BytesIO(b'm' * 100000), 4096)
    file = open(os.path.join(os.path.dirname(__file__), 'big.bin'), 'rb')
    if path == '/rest':
        file.seek(1000000)
    return wrapper(file)
`

const WRONG = `import sys

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/raises':
        raise ValueError('a wrong value')
    if path == '/raises-later':
        def body():
            start_response('200 OK', [('Content-Type', 'text/plain')])
            yield b'begun'
            raise KeyError('half way')
        return body()
    if path == '/raises-early':
        def body():
            raise KeyError('at once')
            yield b''
        return body()
    if path == '/silent':
        return [b'no head']
    if path == '/none':
        return None
    if path == '/text':
        start_response('200 OK', [])
        return ['text']
    if path == '/status':
        start_response(200, [])
        return [b'']
    if path == '/header':
        start_response('200 OK', [('X-A', 'b' + chr(10) + 'c')])
        return [b'']
    if path == '/twice':
        start_response('200 OK', [])
        start_response('201 Created', [])
        return [b'']
    if path == '/arguments':
        start_response('200 OK')
        return [b'']
    if path == '/exit':
        sys.exit(3)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if path == '/nothing':
        return []
    if path == '/log':
        environ['wsgi.errors'].write('said by the application\\n')
    return [b'ok']
`

const HOOKED = `def application(environ, start_response):
    try:
        raise RuntimeError('shown')
    except RuntimeError:
        import sys
        start_response('500 Own Error', [('Content-Type', 'text/plain')], sys.exc_info())
    return [b'own page']
`

test('an application under wsgiref.validate has nothing to complain of', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['validated'], { files: { 'validated.py': VALIDATED }, env })
  for (const options of [
    { path: '/a/b%20c?x=1' },
    { method: 'HEAD' },
    { method: 'POST', body: 'abc' },
    { method: 'POST', body: Buffer.alloc(300_000, 'z') },
    { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' }, body: '3\r\nabc\r\n0\r\n\r\n' },
    { version: '1.0' as const },
  ]) {
    const answer = await request({ address: server.port, ...options })
    assert.equal(answer.status, 200, `${JSON.stringify(options).slice(0, 100)}\n${server.output}`)
    if (options.method === 'HEAD') assert.equal(answer.text, '')
    else if (options.method === undefined) assert.equal(answer.text, 'read ')
    else assert.match(answer.text, /^read (abc|z{10})$/)
  }
  await server.stop()
  assert.doesNotMatch(server.output, /Assertion|Traceback|\[error\]/)
})

test('wsgi.file_wrapper sends files whole, from where they stand, and what is no file', async t => {
  if (!needs(t, 'python3')) return
  const big = Buffer.alloc(3_000_000, 'file ')
  const server = await serveApp(t, ['files'], { files: { 'files.py': FILES, 'big.bin': big }, env })
  assert.ok((await get(server.port, '/')).body.equals(big))
  assert.ok((await get(server.port, '/rest')).body.equals(big.subarray(1_000_000)))
  assert.equal((await get(server.port, '/memory')).text, 'm'.repeat(100_000))
})

test('a path is told as it is, and a file wrapper can be asked for its parts', async t => {
  if (!needs(t, 'python3')) return
  const app = `import io
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', ' 8 ')])
    wrapper = environ['wsgi.file_wrapper'](filelike=io.BytesIO(environ['PATH_INFO'].encode()), blksize=4)
    return [wrapper[0], *wrapper]
`
  const server = await serveApp(t, ['app'], { files: { 'app.py': app }, env })
  assert.equal((await get(server.port, '//a///%62/')).text, '//a///b/')
})

test('an error page the application makes with exc_info is sent', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['hooked'], { files: { 'hooked.py': HOOKED }, env })
  const { status, reason, text } = await get(server.port)
  assert.deepEqual([status, reason, text], [500, 'Own Error', 'own page'])
})

/** The answer's status, when the log has told the cause. */
async function failure(server: Server, path: string, cause: RegExp): Promise<number> {
  const before = server.output.length
  const { status } = await get(server.port, path)
  const log = (): string => server.output.slice(before)
  const told = (): boolean =>
    log()
      .split('\n')
      .some(line => line.includes('[error]') && cause.test(line))
  await eventually(() => told() || assert.fail(`${path}: no line says ${cause}:\n${log()}`))
  return status
}

test('an application that does wrong: 500 for that request, place and cause in the log, and the server stays', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['wrong'], { files: { 'wrong.py': WRONG }, env })
  for (const [path, cause] of [
    ['/raises', /ValueError: a wrong value.*wrong\.py:6/],
    ['/raises-early', /KeyError: 'at once'.*wrong\.py:15/],
    ['/silent', /start_response/],
    ['/none', /None/],
    ['/text', /bytes|str/],
    ['/status', /status/],
    ['/header', /header|X-A/],
    ['/twice', /start_response/],
    ['/arguments', /TypeError.*wrong\.py:36/],
    ['/exit', /SystemExit/],
  ] as const) {
    assert.equal(await failure(server, path, cause), 500, path)
  }
  await eventually(() => /Traceback \(most recent call last\):\n(?:.*\n)*?.*wrong\.py", line 6/.test(server.output))
  assert.equal((await get(server.port, '/')).text, 'ok')
})

test('a response that breaks off half way is cut, so that nobody takes it for whole', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['wrong'], { files: { 'wrong.py': WRONG }, env })
  await assert.rejects(get(server.port, '/raises-later'))
  await eventually(() => /KeyError: 'half way'/.test(server.output))
  assert.equal((await get(server.port, '/')).text, 'ok')
})

test('nothing yielded is an empty response, and wsgi.errors goes to the log', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['wrong'], { files: { 'wrong.py': WRONG }, env })
  const { status, text, header } = await get(server.port, '/nothing').then(answer => ({
    status: answer.status,
    text: answer.text,
    header: answer.header('content-length'),
  }))
  assert.deepEqual([status, text, header], [200, '', '0'])
  await get(server.port, '/log')
  await eventually(() => server.output.includes('said by the application'))
})

for (const [what, files, module, cause] of [
  [
    'does not import',
    { 'broken.py': '\n\nimport nothing_like_it\n' },
    'broken',
    /ModuleNotFoundError: No module named 'nothing_like_it' \(\S+broken\.py:3\)/,
  ],
  ['has wrong syntax', { 'syntax.py': 'def f(:\n' }, 'syntax', /SyntaxError: .*\(\S+syntax\.py:1\)/],
  ['is not there', {}, 'absent', /there is no module "absent" in/],
  ['lacks the variable', { 'empty.py': '' }, 'empty:app', /there is no "app" in \S+empty\.py/],
  [
    'is made by a function of other arguments',
    { 'made.py': 'def make(name): return lambda environ, start_response: []\n' },
    'made:make()',
    /the arguments are wrong: make\(\) missing 1 required positional argument: 'name'/,
  ],
] as const) {
  test(`an application that ${what}: one line with the cause, and Gunicorn's exit code`, t => {
    if (!needs(t, 'python3')) return
    const { status, stderr } = runServe(t, ['-w', '2', '-b', '127.0.0.1:0', module], files)
    assert.equal(status, module.includes(':') ? 4 : 3)
    assert.equal(stderr.split('\n').filter(line => cause.test(line)).length, 1, stderr)
  })
}

test('serve: X-Accel- fields go on to the nginx before it, as from Gunicorn', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['accel:application'], { files: { 'accel.py': ACCEL }, env })
  const response = await get(server.port)
  assert.equal(response.header('x-accel-redirect'), '/protected/report.pdf')
  assert.equal(response.header('x-accel-buffering'), 'no')
  assert.equal(response.text, 'checked')
})
