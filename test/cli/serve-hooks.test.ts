// The hooks of a gunicorn.conf.py under `portico serve`: which is called where, when, and with what; and that Gunicorn does the same.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, gunicorn, needs, serveApp, signalTo, tempDir, writeFiles } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'
import { env, HELLO, runServe } from './serve-command.ts'

/** Each hook writes a line: the process, its name and what it was given. */
const HOOKS = `import os
def note(*words):
    with open('hooks.log', 'a') as file:
        print(os.getpid(), *words, file=file)
def on_starting(server): note('on_starting', server.pid, server.cfg.workers, server.proc_name)
def on_reload(server): note('on_reload', server.pid)
def when_ready(server):
    note('when_ready', server.address)
    server.log.info('ready with %d', server.num_workers)
def pre_fork(server, worker): note('pre_fork', worker.age, worker.pid)
def post_fork(server, worker): note('post_fork', worker.age, worker.pid == os.getpid(), worker.ppid == server.pid)
def post_worker_init(worker): note('post_worker_init', worker.wsgi.__name__, worker)
def worker_int(worker): note('worker_int', worker.pid)
def worker_abort(worker): note('worker_abort', worker.pid)
def pre_exec(server): note('pre_exec')
def pre_request(worker, req): note('pre_request', req.method, req.path, req.query, dict(req.headers).get('X-COLOUR'))
def post_request(worker, req, environ, resp):
    note('post_request', environ['PATH_INFO'], resp.status, resp.sent, dict(resp.headers).get('X-Made-By'), worker.nr)
def child_exit(server, worker): note('child_exit', worker.pid)
def worker_exit(server, worker): note('worker_exit', worker.pid, worker.booted, worker.alive)
def nworkers_changed(server, new_value, old_value): note('nworkers_changed', new_value, old_value)
def on_exit(server): note('on_exit')
`

interface Note {
  readonly pid: number
  readonly hook: string
  readonly words: string
}

function notes(server: Server): Note[] {
  const lines = server.file('hooks.log').split('\n').slice(0, -1)
  return lines.map(line => {
    const [, pid, hook, words] = /^(\d+) (\w+) ?(.*)$/.exec(line)!
    return { pid: Number(pid), hook: hook!, words: words! }
  })
}

function of(server: Server, hook: string): Note[] {
  return notes(server).filter(note => note.hook === hook)
}

test('every hook is called, in the process it belongs to, and in its turn', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': `workers = 1\ntimeout = 3\nloglevel = "info"\n${HOOKS}` }
  const server = await serveApp(t, ['hello'], { files, env })
  assert.equal((await get(server.port, '/a?b', { 'X-Colour': 'blue' })).text, 'hello')
  await eventually(() => /^\[[-0-9]+ [0-9:]+ \+\d+\] \[\d+\] \[INFO\] ready with 1$/m.test(server.output))
  const zygote = of(server, 'on_starting')[0]!.pid
  const worker = of(server, 'post_fork')[0]!.pid
  await eventually(() => of(server, 'post_request').length === 1)
  assert.deepEqual(
    notes(server).map(({ pid, hook, words }) => [
      pid === zygote ? 'arbiter' : pid === worker ? 'worker' : pid,
      hook,
      words,
    ]),
    [
      ['arbiter', 'nworkers_changed', '1 None'],
      ['arbiter', 'on_starting', `${server.child.pid} 1 hello`],
      ['arbiter', 'when_ready', `[('127.0.0.1', ${server.port})]`],
      ['arbiter', 'pre_fork', '1 [booting]'],
      ['worker', 'post_fork', '1 True True'],
      ['worker', 'post_worker_init', `application <Worker ${worker}>`],
      ['worker', 'pre_request', 'GET /a b blue'],
      ['worker', 'post_request', '/a 200 OK 5 hello 1'],
    ],
  )
  // A worker that hangs, one more, one less, a new master's beginning, a reload, and the end.
  assert.equal((await get(server.port, '/slow')).status, 504)
  await eventually(
    () => of(server, 'worker_abort')[0]?.pid === worker && of(server, 'child_exit')[0]?.words === `${worker}`,
  )
  assert.equal(of(server, 'worker_exit')[0]!.pid, worker)
  server.signal('SIGTTIN')
  await eventually(() => of(server, 'nworkers_changed')[1]?.words === '2 1')
  // The first, the one in its place, and the one more.
  await eventually(() => of(server, 'post_worker_init').length === 3)
  server.signal('SIGHUP')
  await eventually(() => of(server, 'on_reload').length === 1 && of(server, 'worker_exit').length === 3)
  assert.notEqual(of(server, 'on_reload')[0]!.pid, zygote)
  assert.equal(of(server, 'nworkers_changed')[2]?.words, '1 2')
  assert.equal(of(server, 'on_starting').length, 1)
  await server.stop('SIGINT')
  const last = of(server, 'on_reload')[0]!.pid
  assert.deepEqual(
    of(server, 'on_exit').map(note => note.pid),
    [last],
  )
  assert.equal(of(server, 'worker_int').length, 1)
  assert.ok(of(server, 'worker_exit').every(note => note.words === `${note.pid} True False`))
  // The arbiter before the reload may hear of its last worker's end later than that.
  assert.equal(notes(server).findLast(note => note.pid === last)!.hook, 'on_exit')
})

test('the pid file is there before anything of the application is', async t => {
  if (!needs(t, 'python3')) return
  const conf = `pidfile = 'run.pid'
def on_starting(server):
    with open('seen', 'w') as file:
        file.write(open('run.pid').read())
`
  const server = await serveApp(t, ['hello'], { files: { 'hello.py': HELLO, 'gunicorn.conf.py': conf }, env })
  assert.equal((await get(server.port)).status, 200)
  assert.equal(server.file('seen'), `${server.child.pid}\n`)
})

test('hooks see what every kind of response comes to', async t => {
  if (!needs(t, 'python3')) return
  const app = `
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/raises':
        raise ValueError('not today')
    write = start_response('200 OK', [])
    if path == '/written':
        write(b'abc')
        return []
    if path == '/file':
        return environ['wsgi.file_wrapper'](open(__file__, 'rb'))
    return iter([b'a', b'bc']) if path == '/parts' else [b'ab', b'c']
`
  const files = { 'app.py': app, 'gunicorn.conf.py': HOOKS }
  const server = await serveApp(t, ['app'], { files, env })
  for (const path of ['/list', '/parts', '/written']) {
    const answer = await get(server.port, path)
    assert.equal(answer.text, 'abc', path)
    await eventually(() => of(server, 'post_request').at(-1)?.words.startsWith(`${path} 200 OK 3`))
  }
  assert.equal((await get(server.port, '/list')).header('content-length'), '3')
  assert.equal((await get(server.port, '/file')).text, app)
  assert.equal((await get(server.port, '/raises')).status, 500)
  await eventually(() => of(server, 'post_request').at(-1)?.words.startsWith('/raises None 0'))
})

test('requests of an ASGI application are told to hooks too', async t => {
  if (!needs(t, 'python3')) return
  const app = `async def app(scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 201, 'headers': [(b'x-made-by', 'asgi')]})
    if scope['path'] == '/file':
        await send({'type': 'http.response.pathsend', 'path': __file__})
        return
    await send({'type': 'http.response.body', 'body': b'made'})
`
  const server = await serveApp(t, ['-k', 'asgi', 'app:app'], {
    files: { 'app.py': app, 'gunicorn.conf.py': HOOKS },
    env,
  })
  assert.equal((await get(server.port, '/a?b', { 'X-Colour': 'red' })).text, 'made')
  await eventually(() => of(server, 'post_request').length === 1)
  assert.equal(of(server, 'pre_request')[0]!.words, 'GET /a b red')
  assert.match(of(server, 'post_request')[0]!.words, /^\/a 201 4 /)
  assert.equal((await get(server.port, '/file')).text, app)
  await eventually(() => of(server, 'post_request')[1]?.words.startsWith(`/file 201 ${app.length} `))
})

test('a worker that a hook sends away finishes and is replaced', async t => {
  if (!needs(t, 'python3')) return
  const conf = 'def post_request(worker, req):\n    worker.alive = False\n'
  const app =
    "import os\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [str(os.getpid()).encode()]\n"
  const server = await serveApp(t, ['app:app'], { files: { 'app.py': app, 'gunicorn.conf.py': conf }, env })
  const seen = new Set<string>()
  // The next request may be with the worker already.
  for (let i = 0; i < 100 && seen.size < 2; i++) seen.add((await get(server.port)).text)
  assert.ok(seen.size > 1, [...seen].join())
})

test('settings of ASGI applications reach them', async t => {
  if (!needs(t, 'python3')) return
  const app = `started = []
async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        started.append(1)
        await receive()
        await send({'type': 'lifespan.startup.complete'})
        await receive()
        return
    import asyncio
    told = '%s %d %s' % (scope['root_path'], len(started), type(asyncio.get_running_loop()).__module__)
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': told.encode()})

async def deaf(scope, receive, send):
    assert scope['type'] == 'http', 'pages alone'
`
  const files = { 'app.py': app, 'gunicorn.conf.py': HOOKS }
  const args = ['-k', 'asgi', '--root-path', '/api', '--asgi-loop', 'asyncio']
  const auto = await serveApp(t, [...args, 'app:app'], { files, env })
  assert.equal((await get(auto.port)).text, '/api 1 asyncio.unix_events')
  await auto.stop('SIGINT')
  assert.equal(of(auto, 'worker_int').length, 1)
  const off = await serveApp(t, [...args, '--asgi-lifespan', 'off', 'app:app'], { files, env })
  assert.match((await get(off.port)).text, /^\/api 0 /)
  const { status, stderr } = runServe(
    t,
    ['-b', '127.0.0.1:0', '-k', 'asgi', '--asgi-lifespan', 'on', 'app:deaf'],
    files,
  )
  assert.equal(status, 3)
  assert.match(stderr, /does not speak lifespan, which is asked for: AssertionError: pages alone/)
})

test("a file can ask for Gunicorn's one lifespan state for all requests", async t => {
  if (!needs(t, 'python3')) return
  const app = `async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        await receive()
        scope['state']['count'] = 0
        await send({'type': 'lifespan.startup.complete'})
        await receive()
        return
    scope['state']['count'] += 1
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': str(scope['state']['count']).encode()})
`
  for (const [conf, told] of [
    ['', '1 1'],
    ['lifespan_state = "shared"\n', '1 2'],
  ] as const) {
    const files = { 'app.py': app, 'gunicorn.conf.py': conf }
    const server = await serveApp(t, ['-w', '1', '-k', 'asgi', 'app:app'], { files, env })
    assert.equal(`${(await get(server.port)).text} ${(await get(server.port)).text}`, told)
  }
})

test('hooks of threads and of gevent are called as well', async t => {
  if (!needs(t, 'python3', 'gevent')) return
  for (const kind of [
    ['--threads', '2'],
    ['-k', 'gevent'],
  ]) {
    const server = await serveApp(t, [...kind, 'hello'], {
      files: { 'hello.py': HELLO, 'gunicorn.conf.py': HOOKS },
      env,
    })
    assert.equal((await get(server.port, '/x')).text, 'hello')
    await eventually(() => of(server, 'post_request')[0]?.words === '/x 200 OK 5 hello 1')
    await server.stop()
    const worker = of(server, 'post_fork')[0]!.pid
    assert.equal(of(server, 'worker_exit')[0]?.pid, worker)
  }
})

test('hooks are called as Gunicorn calls them, for a start, a request, one worker more and an end', async t => {
  if (!needs(t, 'python3', 'gunicorn')) return
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': HOOKS }
  const lines = (text: string): string[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map(line => line.replace(/^\d+ (\w+).*$/, '$1'))
  const sequence = async (
    port: number,
    log: () => string,
    signal: (name: NodeJS.Signals) => void,
    stop: () => Promise<unknown>,
  ): Promise<string[]> => {
    await eventually(() => lines(log()).includes('post_worker_init'))
    assert.equal((await get(port)).status, 200)
    await eventually(() => lines(log()).includes('post_request'))
    signal('SIGTTIN')
    await eventually(() => lines(log()).filter(hook => hook === 'post_worker_init').length === 2)
    await stop()
    return lines(log())
  }
  const dir = tempDir(t)
  writeFiles(dir, files)
  const theirs = await gunicorn(t, 'hello', { dir, args: ['-c', join(dir, 'gunicorn.conf.py'), '-w', '1'] })
  const log = (): string => (existsSync(join(dir, 'hooks.log')) ? readFileSync(join(dir, 'hooks.log'), 'latin1') : '')
  const expected = await sequence(
    theirs.port,
    log,
    name => signalTo(theirs.pid, name),
    () => theirs.stop(),
  )
  const ours = await serveApp(t, ['-w', '1', 'hello'], { files, env })
  const found = await sequence(
    ours.port,
    () => ours.file('hooks.log'),
    name => ours.signal(name),
    () => ours.stop(),
  )
  // Two workers end at the same time: in which order they are told of is nobody's choice.
  const settled = (hooks: string[]): string[] => [
    ...hooks.slice(0, -5),
    ...hooks.slice(-5, -1).sort(),
    ...hooks.slice(-1),
  ]
  assert.deepEqual(settled(found), settled(expected))
})
