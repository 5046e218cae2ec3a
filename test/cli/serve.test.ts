// `portico serve` as a command: what it prints, its exit codes, signals, sockets and logs.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import {
  accepts,
  atEnd,
  eventually,
  freePort,
  get,
  needs,
  needsOtherUsers,
  request,
  PORTICO,
  serveApp,
  signalTo,
  tempDir,
  writeFiles,
} from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'
import { env, runServe, type Ended } from './serve-command.ts'

const HELLO = `import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('hello %s %s' % (environ['PATH_INFO'], os.environ.get('COLOUR', ''))).encode()]
`
const SLOW = `import time
def application(environ, start_response):
    open('begun', 'w').close()
    time.sleep(0.5)
    start_response('200 OK', [])
    return [b'late']
`
const SIZES = `def application(environ, start_response):
    start_response('200 OK', [])
    return [b'%d' % len(environ['wsgi.input'].read())]
`
const files = {
  'hello.py': HELLO,
  'slow.py': SLOW,
  'sizes.py': SIZES,
  'unparsable.js': 'export default (',
  'broken.py': '\nimport nothing_like_it\n',
  'dies.py': 'import os\nos._exit(3)\n',
  'later.py': 'async def application(scope, receive, send):\n    pass\n',
}

function run(t: Scope, args: readonly string[], more: Readonly<Record<string, string>> = {}, dir = tempDir(t)): Ended {
  return runServe(t, args, files, more, dir)
}

test('hello: the greeting, an answer, and a quiet end that leaves nothing', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-w', '2', '--env', 'COLOUR=light blue', 'hello'], { files, env })
  const answer = await get(server.port, '/a%20b')
  assert.equal(answer.text, 'hello /a b light blue')
  assert.equal(answer.header('server'), 'portico/0.1.0')
  await eventually(() => server.output !== '')
  assert.equal(await server.stop('SIGINT'), 0)
  assert.equal(
    server.output,
    `portico 0.1.0 listening at http://127.0.0.1:${server.port} (${server.child.pid}), 2 sync workers of "hello"\n`,
  )
  assert.deepEqual(readdirSync(join(server.dir, 'tmp')), [])
})

test('Ctrl-C, which reaches every process at once, ends it quietly', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['hello'], { files, env })
  await get(server.port)
  signalTo(-server.child.pid!, 'SIGINT')
  assert.equal(await server.exited, 0)
  assert.match(server.output, /^portico 0\.1\.0 listening at [^\n]*\n$/)
})

test('a signal that comes while it is only starting leaves nothing either', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, { ...files, 'tmp/x': '' })
  rmSync(join(dir, 'tmp', 'x'))
  const child = spawn(PORTICO, ['serve', '-b', '127.0.0.1:0', 'hello'], {
    cwd: dir,
    env: { ...process.env, ...env, TMPDIR: join(dir, 'tmp'), XDG_RUNTIME_DIR: join(dir, 'tmp') },
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  atEnd(t, () => void child.kill('SIGKILL'))
  await eventually(() => readdirSync(join(dir, 'tmp')).length > 0)
  child.kill('SIGTERM')
  await ended
  assert.deepEqual(readdirSync(join(dir, 'tmp')), [])
})

test('the first answer comes soon after the start', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  await serveApp(t, ['-w', '2', 'hello'], { files, env, dir }).then(server => server.stop())
  let best = Infinity
  // The machine may be busy with something else: what is asserted is that nothing waits for a long timer.
  for (let round = 0; round < 3 && best >= 1000; round++) {
    const begun = performance.now()
    const server = await serveApp(t, ['-w', '2', 'hello'], { env, dir })
    assert.equal((await get(server.port)).status, 200)
    best = Math.min(best, Math.round(performance.now() - begun))
    await server.stop()
  }
  t.diagnostic(`first answer after ${best} ms`)
  assert.ok(best < 10_000, `${best} ms`)
})

test('an upload that goes to a temporary file is not told of; the Server field need not tell the version', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--server-tokens', 'off', 'sizes'], { files, env })
  const answer = await request({ address: server.port, method: 'POST', path: '/', body: Buffer.alloc(300_000) })
  assert.equal(answer.text, '300000')
  assert.equal(answer.header('server'), 'portico')
  assert.equal(await server.stop('SIGTERM'), 0)
  assert.match(server.output, /^portico 0\.1\.0 listening at .*\n$/)
})

test('TERM lets a request finish', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['slow'], { files, env })
  const answer = get(server.port)
  await eventually(() => existsSync(join(server.dir, 'begun')))
  server.signal('SIGTERM')
  assert.equal((await answer).text, 'late')
  assert.equal(await server.exited, 0)
})

test('--chdir, --pid, logs and a Unix socket are where they are said to be', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, { 'sub/hello.py': HELLO })
  const args = '--chdir sub -b unix:s.sock -m 0117 -p run.pid --error-logfile error.log --access-logfile access.log'
  const server = await serveApp(t, [...args.split(' '), '--log-level', 'info', 'hello'], { dir, env })
  const socket = join(dir, 'sub/s.sock')
  await eventually(() => accepts(socket))
  assert.equal((await get(socket, '/x', { 'User-Agent': 'me' })).text, 'hello /x ')
  await eventually(() => /listening at unix:s\.sock/.test(server.output))
  assert.equal(statSync(socket).mode & 0o777, 0o660)
  assert.equal(server.file('sub/run.pid'), `${server.child.pid}\n`)
  assert.match(
    run(t, ['-p', join(dir, 'sub/run.pid'), 'hello']).stderr,
    /^portico serve: already running as process \d+, says/,
  )
  await eventually(() => server.file('sub/access.log') !== '')
  assert.match(server.file('sub/access.log'), / - - \[.*\] "GET \/x HTTP\/1\.1" 200 9 "-" "me"\n/)
  await eventually(() => /\[notice\] .*start worker process/.test(server.file('sub/error.log')))
  await server.stop()
  assert.deepEqual([existsSync(socket), existsSync(join(dir, 'sub/run.pid'))], [false, false])
})

test('--access-logfile - writes to standard output, in the format asked for', async t => {
  if (!needs(t, 'python3')) return
  const format = '%(m)s %(U)s %(s)s %({X-Colour}i)s %({Content-Type}o)s'
  const server = await serveApp(t, ['--access-logfile', '-', '--access-logformat', format, 'hello'], { files, env })
  await get(server.port, '/a?b', { 'X-Colour': 'blue' })
  await eventually(() => server.stdout !== '')
  assert.equal(server.stdout, 'GET /a 200 blue text/plain\n')
})

test('lines of JSON in the access log stay JSON, whatever a client sends', async t => {
  if (!needs(t, 'python3')) return
  const format = '{"agent": "%(a)s", "path": "%(U)s", "referer": "%(f)s", "query": "%(q)s"}'
  const server = await serveApp(t, ['--access-logfile', '-', '--access-logformat', format, 'hello'], { files, env })
  await get(server.port, '/a%22//%C3%A9', { 'User-Agent': 'a "quoted" \\ name' })
  await eventually(() => server.stdout !== '')
  assert.deepEqual(JSON.parse(server.stdout), {
    agent: 'a "quoted" \\ name',
    path: '/a"//é',
    referer: '-',
    query: '',
  })
})

test("every atom of Gunicorn's access log format is filled", async t => {
  if (!needs(t, 'python3')) return
  const nap = `import os, time
def app(environ, start_response):
    time.sleep(0.05)
    start_response('200 OK', [('X-Colour', 'red')])
    return [str(os.getpid()).encode()]
`
  const format =
    '%(h)s|%(l)s|%(u)s|%(t)s|%(r)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(b)s|%(B)s|%(f)s|%(a)s|%(T)s|%(D)s|%(M)s|%(L)s|%(p)s|' +
    '%({x-a}i)s|%({x-colour}o)s|%({REQUEST_METHOD}e)s|%({HTTP_X_A}e)s|%({none}i)s|%%'
  const args = ['--access-logfile', '-', '--access-logformat', format, 'nap:app']
  const server = await serveApp(t, args, { files: { 'nap.py': nap }, env })
  const { text: pid } = await get(server.port, '/p?q=1', { Referer: 'ref', 'User-Agent': 'me', 'X-A': 'b' })
  await eventually(() => server.stdout !== '')
  const size = `${pid.length}`
  const time = String.raw`\[\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4}\]`
  const duration = String.raw`\d+\|\d{5,}\|\d{2,}\|\d+\.\d{6}`
  assert.match(
    server.stdout,
    new RegExp(
      `^127\\.0\\.0\\.1\\|-\\|-\\|${time}\\|GET /p\\?q=1 HTTP/1\\.1\\|GET\\|/p\\|q=1\\|HTTP/1\\.1\\|200\\|${size}\\|${size}\\|ref\\|me\\|` +
        `${duration}\\|<${pid}>\\|b\\|red\\|GET\\|b\\|-\\|%\n$`,
    ),
  )
})

test('--daemon: the caller returns when it serves, and nothing holds its output open', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const port = await freePort()
  const { status, stderr } = run(t, ['-D', '-p', 'run.pid', '-b', `127.0.0.1:${port}`, 'hello'], {}, dir)
  assert.deepEqual([status, stderr], [0, ''])
  const pid = Number(readFileSync(join(dir, 'run.pid'), 'latin1'))
  atEnd(t, () => signalTo(pid, 'SIGKILL'))
  assert.equal((await get(port)).status, 200)
  signalTo(pid, 'SIGTERM')
  await eventually(() => !existsSync(join(dir, 'run.pid')) && readdirSync(join(dir, 'tmp')).join() === 'x')
})

test('gthread: threads of one worker serve requests at the same time', async t => {
  if (!needs(t, 'python3')) return
  const barrier = `import threading
both = threading.Barrier(2)
def app(environ, start_response):
    both.wait(30)
    start_response('200 OK', [])
    return [b'met' if environ['wsgi.multithread'] else b'alone']
`
  const server = await serveApp(t, ['--threads', '2', 'barrier:app'], { files: { 'barrier.py': barrier }, env })
  const answers = await Promise.all([get(server.port), get(server.port)])
  assert.deepEqual(
    answers.map(answer => answer.text),
    ['met', 'met'],
  )
})

test('limits: too many fields and too long a line are refused', async t => {
  if (!needs(t, 'python3')) return
  const args = '--limit-request-fields 5 --limit-request-line 1000 --limit-request-field_size 1000 hello'
  const server = await serveApp(t, args.split(' '), { files, env })
  const fields = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`X-${i}`, 'v']))
  assert.equal((await get(server.port, '/', fields)).status, 400)
  assert.equal((await get(server.port, `/${'a'.repeat(2000)}`)).status, 414)
  assert.equal((await get(server.port, `/${'a'.repeat(500)}`)).status, 200)
})

test('HUP loads the application anew', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['hello'], { files, env })
  assert.match((await get(server.port)).text, /^hello/)
  writeFileSync(join(server.dir, 'hello.py'), HELLO.replace('hello', 'changed'))
  server.signal('SIGHUP')
  await eventually(async () => (await get(server.port)).text.startsWith('changed'))
})

test('an address in use is told in one line, with exit code 1', async t => {
  const other = net.createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => other.close())
  const { port } = other.address() as net.AddressInfo
  // spawnSync would keep this process from refusing the program's connections, were it to make any.
  const { status, stderr } = run(t, ['-b', `127.0.0.1:${port}`, 'hello'])
  assert.equal(status, 1)
  const advice = ': another program listens there; -b names another address'
  assert.equal(stderr, `portico: [emerg] bind() to 127.0.0.1:${port} failed (98: Address already in use)${advice}\n`)
})

test('--print-config prints a configuration that passes -t and serves', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const port = await freePort()
  const args = ['-w', '2', '-b', `127.0.0.1:${port}`, '-e', 'COLOUR=a"b\\c $d;{', '--error-logfile', 'e.log', 'hello']
  const { status, stdout } = run(t, ['--print-config', ...args], {}, dir)
  assert.equal(status, 0)
  writeFiles(dir, { 'nginx.conf': stdout, 'logs/x': '' })
  const tested = spawnSync(PORTICO, ['-p', dir, '-t', '-c', 'nginx.conf'], { encoding: 'utf8' })
  assert.equal(tested.status, 0, tested.stderr)
  const child = spawn(PORTICO, ['-p', dir, '-c', 'nginx.conf'], { env: { ...process.env, ...env }, stdio: 'ignore' })
  const exited = new Promise(resolve => child.once('exit', resolve))
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await exited
  })
  await eventually(() => accepts(port))
  assert.equal((await get(port, '/x')).text, 'hello /x a"b\\c $d;{')
})

test('--check-config loads the application, or tells in one line why it cannot', t => {
  if (!needs(t, 'python3')) return
  const check = (module: string): [number | null, string] => {
    const { status, stderr } = run(t, ['--check-config', module])
    return [status, stderr]
  }
  assert.deepEqual(check('hello'), [0, 'portico serve: "hello" is loaded, the configuration is ok\n'])
  const [status, said] = check('broken')
  assert.equal(status, 1)
  assert.match(
    said,
    /^portico serve: cannot load "broken": .*ModuleNotFoundError: No module named 'nothing_like_it' \(\S+broken\.py:2\); the interpreter is \/\S+\n$/,
  )
  assert.match(
    check('missing').join(),
    /^1,portico serve: cannot load "missing": there is no module "missing" in [^\n]+\n$/,
  )
  assert.match(check('hello:nobody').join(), /^1,.*there is no "nobody" in \S+hello\.py\n$/)
  assert.match(check('dies').join(), /^1,.*exited with code 3\n$/)
  assert.match(check('later').join(), /^1,.*it is an ASGI application, say "kind asgi" \(-k asgi\)\n$/)
  const asgi = run(t, ['-k', 'asgi', '--check-config', 'hello'])
  assert.equal(asgi.status, 0)
  assert.match(asgi.stderr, /warning: .*"hello" takes two arguments, as a WSGI application does.*\n.*"hello" is loaded/)
})

test('--check-config tells how to find out where a file of Node cannot be parsed', t => {
  const files = { 'outer.mjs': `import './inner.mjs'`, 'inner.mjs': '\n\nconst a = {,}' }
  const { status, stderr } = runServe(t, ['--check-config', 'outer.mjs'], files)
  assert.equal(status, 1)
  assert.equal(
    stderr,
    `portico serve: cannot load "outer.mjs": SyntaxError: Unexpected token ','; "node outer.mjs" tells where\n`,
  )
})

for (const [name, args] of [
  ['Node', ['unparsable.js']],
  ['Python', ['broken']],
  ['Python, loaded once', ['--preload', 'broken']],
] as const) {
  test(`an application that cannot be loaded (${name}) is told of once, and nothing is tried again`, t => {
    if (!needs(t, 'python3')) return
    const ended = run(t, ['-b', '127.0.0.1:0', '--log-level', 'info', ...args])
    assert.equal(ended.status, 3, ended.stderr)
    assert.equal(ended.stderr.match(/cannot load "/g)?.length, 1, ended.stderr)
    assert.ok((ended.stderr.match(/": worker process \d+ exited/g)?.length ?? 0) <= 1, ended.stderr)
  })
}

test('where nothing can be started, one line says what to do about it', t => {
  const nowhere = run(t, ['hello'], { TMPDIR: '/nowhere' })
  assert.equal(nowhere.status, 1)
  assert.match(
    nowhere.stderr,
    /^portico serve: no folder can be made in "\/nowhere" \(2: [^\n]*\); TMPDIR names another\n$/,
  )
  const { status, stderr } = run(t, ['--check-config', 'hello'], { PORTICO_PYTHON: 'python-of-no-kind' })
  assert.equal(status, 1)
  assert.match(
    stderr,
    /cannot start the interpreter "python-of-no-kind": there is no such program; "python" \(--python\), /,
  )
})

test('a wrong command line is told in one line, with exit code 2', t => {
  const { status, stderr, stdout } = run(t, ['--wokers', '2', 'hello'])
  assert.deepEqual(
    [status, stderr, stdout],
    [2, 'portico serve: unknown option "--wokers", did you mean "--workers"?\n', ''],
  )
  assert.match(run(t, []).stderr, /^portico serve: no application is named, as in "portico serve [^\n]*\n$/)
  assert.match(run(t, ['--spew', 'hello']).stderr, /^portico serve: --spew is not supported: /)
  assert.match(run(t, ['--dirty-app', 'x', 'hello']).stderr, /invalid value "x" for --dirty-app: a class is needed/)
  assert.match(run(t, ['-u', 'nobody-like-this', 'hello']).stderr, /there is no such user|needs the rights of root/)
})

test('--version, --help, and both when called gunicorn', t => {
  assert.equal(run(t, ['--version']).stdout, 'portico 0.1.0\n')
  assert.match(run(t, ['--help']).stdout, /^Usage: portico serve \[options\] MODULE\[:VARIABLE\]\n/)
  const dir = tempDir(t)
  const link = join(dir, 'gunicorn')
  spawnSync('ln', ['-s', PORTICO, link])
  assert.match(
    spawnSync(link, ['--version'], { encoding: 'utf8' }).stdout,
    /^gunicorn \(version [\d.]+\) \(portico\/0\.1\.0\)\n$/,
  )
  assert.match(spawnSync(link, ['-h'], { encoding: 'utf8' }).stdout, /^Usage: gunicorn \[options\]/)
})

test('as root, --user and --group may be numbers that have no names', async t => {
  if (!needsOtherUsers(t)) return
  if (!needs(t, 'python3')) return
  const who = `import os
def app(environ, start_response):
    start_response('200 OK', [])
    return [repr([os.getuid(), os.getgid(), os.getgroups()]).encode()]
`
  const dir = tempDir(t)
  writeFiles(dir, { 'who.py': who })
  const both = await serveApp(t, ['-u', '54321', '-g', '54322', 'who:app'], { dir, env })
  assert.equal((await get(both.port)).text, '[54321, 54322, [54322]]')
  await both.stop()
  const user = await serveApp(t, ['-u', '54321', 'who:app'], { dir, env })
  assert.equal((await get(user.port)).text, '[54321, 54321, [54321]]')
})

test('as root, --user is who the front and the workers run as', async t => {
  if (!needsOtherUsers(t)) return
  if (!needs(t, 'python3')) return
  const who = `import os, pwd
def app(environ, start_response):
    start_response('200 OK', [])
    environ['wsgi.input'].read()
    return [pwd.getpwuid(os.getuid())[0].encode()]
`
  const dir = tempDir(t)
  writeFiles(dir, { 'who.py': who })
  const server = await serveApp(t, ['-u', 'nobody', '-g', 'nogroup', 'who:app'], { dir, env })
  assert.equal((await get(server.port)).text, 'nobody')
  await server.stop()
  const asRoot = await serveApp(t, ['who:app'], { dir, env })
  assert.equal((await get(asRoot.port)).text, 'root')
})
