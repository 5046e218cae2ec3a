// gunicorn.conf.py under `portico serve`: where its settings stand among the others, loggers, exit codes, and what is
// said when the file is wrong.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, needsOtherUsers, request, serveApp, tempDir, writeFiles } from '../helpers/index.ts'
import { env, HELLO, runServe } from './serve-command.ts'

test('the file is read by Python, by its usual name, by -c, or as a module', t => {
  if (!needs(t, 'python3')) return
  const conf =
    'import os\nworkers = len("abc")\nbind = ["127.0.0.1:" + os.environ["MINE"]]\nraw_env = ["A=B"]\nunheard_of = object()\n'
  for (const [args, file] of [
    [[], 'gunicorn.conf.py'],
    [['-c', 'other.conf'], 'other.conf'],
    [['--config=file:other.py'], 'other.py'],
    [['-c', 'python:settings'], 'settings.py'],
  ] as const) {
    const { status, stdout, stderr } = runServe(
      t,
      ['--print-config', ...args, 'hello'],
      { [file]: conf },
      { MINE: '8100' },
    )
    assert.equal(status, 0, stderr)
    assert.match(stdout, /workers 3;[^]*environment A=B;[^]*listen 127\.0\.0\.1:8100 /)
  }
  const named = runServe(t, ['--print-config', 'hello'], { 'a.py': 'workers = 9' }, { GUNICORN_CMD_ARGS: '-c a.py' })
  assert.match(named.stdout, /workers 9;/)
  // Any iterable is a list where one is asked for, and what the file has for itself need not be like anything in JSON.
  const odd =
    'nan = float("nan")\nloop = []\nloop.append(loop)\nbind = (f"127.0.0.1:{n}" for n in (8100,))\nraw_env = {"A=B"}\nworkers = 3\n'
  const iterated = runServe(t, ['--print-config', 'hello'], { 'gunicorn.conf.py': odd })
  assert.match(iterated.stdout, /workers 3;[^]*environment A=B;[^]*listen 127\.0\.0\.1:8100 /, iterated.stderr)
  // The application may be named in it.
  assert.match(runServe(t, ['--print-config'], { 'gunicorn.conf.py': 'wsgi_app = "a.b:c"' }).stdout, /module a\.b:c;/)
})

test('a file that is wrong is told as Python tells it, with exit code 1', t => {
  if (!needs(t, 'python3')) return
  const said = (conf: string): [number | null, string] => {
    const { status, stderr } = runServe(t, ['--check-config', 'hello'], { 'gunicorn.conf.py': conf })
    return [status, stderr]
  }
  const [status, raised] = said('workers = 1\nraise ValueError("no")\n')
  assert.equal(status, 1)
  assert.match(raised, /^Failed to read config file: \.\/gunicorn\.conf\.py\nTraceback[^]*line 2[^]*ValueError: no\n/)
  assert.match(said('workers = =\n').join(), /^1,Failed to read[^]*SyntaxError/)
  assert.match(
    said('workers = "many"\n').join(),
    /^1,portico serve: invalid value "many" for workers in \.\/gunicorn\.conf\.py: /,
  )
  assert.match(said('def post_fork(server): pass\n').join(), /^1,[^]*post_fork takes 1 arguments instead of 2/)
  assert.match(runServe(t, ['-c', 'missing.py', 'hello'], {}).stderr, /Error: 'missing\.py' doesn't exist/)
  assert.match(said('spew = True\n').join(), /^1,portico serve: spew in \.\/gunicorn\.conf\.py is not supported: /)
})

test('a reload reads the file again, and keeps what was when it is wrong', async t => {
  if (!needs(t, 'python3')) return
  const app =
    "import os\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [os.environ['COLOUR'].encode()]\n"
  const files = { 'app.py': app, 'gunicorn.conf.py': 'raw_env = ["COLOUR=red"]\n' }
  const server = await serveApp(t, ['app:app'], { files, env })
  assert.equal((await get(server.port)).text, 'red')
  writeFileSync(join(server.dir, 'gunicorn.conf.py'), 'raw_env = ["COLOUR=blue"]\n')
  server.signal('SIGHUP')
  await eventually(async () => (await get(server.port)).text === 'blue')
  writeFileSync(join(server.dir, 'gunicorn.conf.py'), 'raw_env = [\n')
  server.signal('SIGHUP')
  await eventually(() => /\[emerg\] .*"\.\/gunicorn\.conf\.py" could not be read/.test(server.output))
  assert.equal((await get(server.port)).text, 'blue')
})

test('an application that asks whether it is served by Gunicorn is told so', async t => {
  if (!needs(t, 'python3')) return
  const app = `import os, sys
told = '%s %s' % (os.environ['SERVER_SOFTWARE'].split('/')[0], sys.argv[0])
def app(environ, start_response):
    start_response('200 OK', [])
    return [told.encode()]
`
  const server = await serveApp(t, ['app:app'], { files: { 'app.py': app }, env })
  assert.equal((await get(server.port)).text, 'gunicorn gunicorn')
})

test("applications find Gunicorn's loggers, and what they say goes where errors go", async t => {
  if (!needs(t, 'python3')) return
  const app = `import logging
log = logging.getLogger('gunicorn.error')
print('printed once')
def app(environ, start_response):
    log.warning('warned of %s', environ['PATH_INFO'])
    start_response('200 OK', [])
    return [str(len(log.handlers)).encode()]
`
  const args = ['--error-logfile', '%%DIR%%/e.log', '--capture-output', '--log-level', 'warning', 'app:app']
  const server = await serveApp(t, args, { files: { 'app.py': app }, env })
  assert.equal((await get(server.port, '/x')).text, '1')
  await eventually(() => /\[WARNING\] warned of \/x/.test(server.file('e.log')))
  await server.stop()
  assert.match(server.file('e.log'), /^printed once$/m)
  assert.doesNotMatch(server.output, /printed once/)
})

test("a logger class, a configuration of Python's logging, and formats only Python can fill", async t => {
  if (!needs(t, 'python3')) return
  const app = `def app(environ, start_response):
    environ['app.user'] = 'ada'
    start_response('200 OK', [('X-A', 'b')])
    return [b'ok']
`
  const own = `from gunicorn.glogging import Logger
class Mine(Logger):
    def atoms(self, resp, req, environ, request_time):
        return dict(super().atoms(resp, req, environ, request_time), mine='yes')
`
  const first = await serveApp(
    t,
    ['--logger-class', 'own.Mine', '--access-logfile', '-', '--access-logformat', '%(mine)s %(s)s %(b)s', 'app:app'],
    { files: { 'app.py': app, 'own.py': own }, env },
  )
  await get(first.port)
  await eventually(() => first.stdout === 'yes 200 2\n')
  const format = '%({app.user}e)s "%(r)s" %({x-a}o)s %({none}i)s'
  const second = await serveApp(t, ['--access-logfile', '-', '--access-logformat', format, 'app:app'], {
    files: { 'app.py': app },
    env,
  })
  await get(second.port, '/q')
  await eventually(() => second.stdout === 'ada "GET /q HTTP/1.1" b -\n')
  const logging = {
    handlers: { here: { class: 'logging.FileHandler', filename: 'json.log', formatter: 'generic' } },
    loggers: { 'gunicorn.access': { level: 'INFO', handlers: ['here'], propagate: false } },
  }
  const conf = `logconfig_dict = ${JSON.stringify(logging).replaceAll('false', 'False')}\naccess_log_format = "%(m)s %(U)s"\n`
  const third = await serveApp(t, ['app:app'], { files: { 'app.py': app, 'gunicorn.conf.py': conf }, env })
  await get(third.port, '/z')
  await eventually(() => /\[INFO\] GET \/z$/m.test(third.file('json.log')))
})

test('errors of requests go to a log that is configured in Python, and to no other', async t => {
  if (!needs(t, 'python3')) return
  const app = `def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/late':
        def parts():
            raise ValueError('of a part')
            yield b''
        return parts()
    raise ValueError('of a call')
`
  const logging = {
    formatters: { own: { format: '%(levelname)s: %(message)s' } },
    handlers: { here: { class: 'logging.FileHandler', filename: 'own.log', formatter: 'own' } },
    loggers: { 'gunicorn.error': { level: 'INFO', handlers: ['here'], propagate: false } },
  }
  const conf = `logconfig_dict = ${JSON.stringify(logging).replaceAll('false', 'False')}\n`
  const server = await serveApp(t, ['app:app'], { files: { 'app.py': app, 'gunicorn.conf.py': conf }, env })
  for (const [path, cause] of [
    ['/now?a', 'of a call'],
    ['/late', 'of a part'],
  ] as const) {
    assert.equal((await get(server.port, path)).status, 500)
    const line = `ERROR: Error handling request GET ${path}\nTraceback `
    await eventually(
      () => server.file('own.log').includes(line) && server.file('own.log').includes(`ValueError: ${cause}`),
    )
  }
  await server.stop()
  assert.doesNotMatch(server.output, /ValueError/)
})

test("errors of an ASGI application go to a logger class of one's own, and to no other", async t => {
  if (!needs(t, 'python3')) return
  const app = `async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        await receive()
        await send({'type': 'lifespan.startup.complete'})
        raise ValueError('of the lifespan')
    await receive()
    if scope['path'] == '/late':
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': b'begun', 'more_body': True})
    if scope['path'] != '/silent':
        raise ValueError('of ' + scope['path'])
`
  const own = `import traceback
from gunicorn.glogging import Logger
class Own(Logger):
    def tell(self, *words):
        with open('own.log', 'a') as file:
            print(*words, file=file)
    def exception(self, msg, *args, **kwargs):
        self.tell('EXCEPTION', msg % args, traceback.format_exc())
    def error(self, msg, *args, **kwargs):
        self.tell('ERROR', msg % args if args else msg)
`
  const files = { 'app.py': app, 'own.py': own }
  const server = await serveApp(t, ['-k', 'asgi', '--logger-class', 'own.Own', 'app:app'], { files, env })
  const told = (what: RegExp): Promise<unknown> => eventually(() => what.test(server.file('own.log')))
  await told(/^ERROR error in the lifespan of application "app:app": ValueError: of the lifespan$/m)
  assert.equal((await get(server.port, '/now')).status, 500)
  await told(/^EXCEPTION Error in ASGI application Traceback [^]*^ValueError: of \/now$/m)
  await assert.rejects(get(server.port, '/late'))
  await told(/^ValueError: of \/late$/m)
  assert.equal((await get(server.port, '/silent')).status, 500)
  await told(/^ERROR application "app:app" returned before its response was complete, request "GET \/silent"$/m)
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`)
  await once(socket, 'error')
  await told(/^EXCEPTION Error in WebSocket ASGI application Traceback [^]*^ValueError: of \/ws$/m)
  await server.stop()
  assert.doesNotMatch(server.output, /ValueError|returned before/)
})

test('a logger that fails leaves no client waiting', async t => {
  if (!needs(t, 'python3')) return
  const app = `async def app(scope, receive, send):
    raise ValueError('no')
`
  const own = `from gunicorn.glogging import Logger
class Own(Logger):
    def exception(self, *args):
        raise OSError('no room')
`
  const args = ['-k', 'asgi', '--asgi-lifespan', 'off', '--logger-class', 'own.Own', 'app:app']
  const server = await serveApp(t, args, { files: { 'app.py': app, 'own.py': own }, env })
  const { status } = await get(server.port)
  assert.ok(status >= 500, `${status}`)
})

test('a log that workers write has every request, and what was sent of it', async t => {
  if (!needs(t, 'python3')) return
  const app = `import os
def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/raises':
        raise ValueError('no')
    write = start_response('200 OK', [])
    if path == '/late':
        def parts():
            raise ValueError('no')
            yield b''
        return parts()
    if path == '/file':
        return environ['wsgi.file_wrapper'](open('big.bin', 'rb'))
    if path == '/part':
        file = open('big.bin', 'rb')
        file.seek(99_990)
        return environ['wsgi.file_wrapper'](file, 4)
    if path == '/written':
        write(b'abc')
    return [b'ab', b'c']
`
  const conf = 'accesslog = "-"\naccess_log_format = "%(m)s %(U)s %(s)s %(b)s %({wsgi.url_scheme}e)s"\n'
  const server = await serveApp(t, ['app:app'], {
    files: { 'app.py': app, 'gunicorn.conf.py': conf, 'big.bin': 'x'.repeat(100_000) },
    env,
  })
  for (const [target, line] of [
    ['GET /list', '200 3'],
    ['HEAD /list', '200 0'],
    ['GET /raises', '500 0'],
    ['GET /late', '500 0'],
    ['GET /file', '200 100000'],
    ['GET /part', '200 10'],
    ['HEAD /file', '200 0'],
    ['GET /written', '200 6'],
  ] as const) {
    const [method, path] = target.split(' ') as [string, string]
    await request({ address: server.port, method, path })
    await eventually(() => server.stdout.endsWith(`${target} ${line} http\n`))
  }
  assert.equal(server.stdout.split('\n').length, 9)
})

test('exit codes are those that supervisors of Gunicorn know', t => {
  if (!needs(t, 'python3')) return
  const code = (module: string, files: Record<string, string> = {}): number | null =>
    runServe(t, ['-b', '127.0.0.1:0', module], files).status
  assert.equal(code('broken', { 'broken.py': 'import nothing_like_it\n' }), 3)
  assert.equal(code('missing'), 3)
  assert.equal(code('hello:nobody'), 4)
  assert.equal(code('hello:HELLO', { 'hello.py': 'HELLO = 3' }), 4)
  assert.equal(code('hello:make(x)', { 'hello.py': 'make = 3' }), 4)
  assert.equal(code('hello:make()', { 'hello.py': 'def make(): raise OSError("no")' }), 3)
  assert.equal(
    code('hello:application', { 'gunicorn.conf.py': 'def post_fork(server, worker):\n    raise OSError("no")\n' }),
    3,
  )
  for (const early of [
    'def on_starting(server):\n    raise OSError("no")\n',
    'def when_ready(server):\n    raise OSError("no")\n',
    'logconfig = "absent.ini"\n',
    'logger_class = "absent.Logger"\n',
  ]) {
    assert.equal(code('hello:application', { 'gunicorn.conf.py': early }), 1, early)
  }
})

test('paths in a file are relative to chdir, the file itself to where the program was started', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  mkdirSync(join(dir, 'site'))
  const conf = `chdir = 'site'\npidfile = 'run.pid'\ndef post_fork(server, worker):\n    open('forked', 'w').close()\n`
  writeFiles(dir, { 'gunicorn.conf.py': conf, 'site/hello.py': HELLO })
  const server = await serveApp(t, ['hello'], { dir, env })
  assert.equal((await get(server.port)).status, 200)
  assert.equal(readFileSync(join(dir, 'site/run.pid'), 'latin1'), `${server.child.pid}\n`)
  assert.ok(existsSync(join(dir, 'site/forked')))
})

test('as root, the file may be readable to root alone, and import what is beside it', async t => {
  if (!needsOtherUsers(t)) return
  if (!needs(t, 'python3')) return
  const who = `import os, pwd
def app(environ, start_response):
    start_response('200 OK', [])
    return [pwd.getpwuid(os.getuid())[0].encode()]
`
  const dir = tempDir(t)
  writeFiles(dir, {
    'gunicorn.conf.py': `import beside\nchdir = ${JSON.stringify(join(dir, 'site'))}\nuser = 'nobody'\npost_fork = beside.post_fork\n`,
    'beside.py': 'def post_fork(server, worker):\n    server.log.warning("forked as %d", __import__("os").getuid())\n',
    'site/who.py': who,
  })
  chmodSync(join(dir, 'gunicorn.conf.py'), 0o600)
  const server = await serveApp(t, ['who:app'], { dir, env })
  assert.equal((await get(server.port)).text, 'nobody')
  await eventually(() => /\[WARNING\] forked as 65534/.test(server.output))
})
