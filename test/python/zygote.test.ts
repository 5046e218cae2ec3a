// The zygote and the lives of its workers: loading, forking, leaving, hanging, being killed, and a master that goes away.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { encodeShutdown } from '../../src/codec/frames.ts'
import { eventually, within } from '../helpers/eventually.ts'
import { needsOtherUsers } from '../helpers/needs.ts'
import { processTree, signalTo } from '../helpers/processes.ts'
import test from '../helpers/python-test.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Front, Zygote, serve } from './front.ts'
import { runFuzzer } from './fuzzer.ts'

const APPS = join(import.meta.dirname, 'apps')

test('frames in Python: any input is read or refused, and the split does not matter', t => {
  runFuzzer(t, 'fuzz_frames.py')
})

test('zygote: it is ready, forks workers that listen, and tells how they end', async t => {
  const started = performance.now()
  const zygote = new Zygote(t, { module: 'basic' })
  const ready = await zygote.next('ready')
  t.diagnostic(`ready after ${(performance.now() - started).toFixed(0)} ms`)
  assert.equal(ready.pid, zygote.process.pid)
  assert.equal(ready.preloaded, true)
  const times: number[] = []
  for (let slot = 0; slot < 4; slot++) {
    const asked = performance.now()
    const worker = await zygote.fork(slot)
    times.push(performance.now() - asked)
    assert.equal(worker.slot, slot)
    assert.equal(worker.path, join(zygote.dir, `app-1-${worker.pid}.sock`))
    const front = await Front.connect(t, worker.path)
    assert.equal((await front.get('/pid')).body, String(worker.pid))
  }
  t.diagnostic(`from fork to worker ${times.map(ms => ms.toFixed(1)).join(', ')} ms`)
  zygote.send({ command: 'stop', graceful: true })
  for (let i = 0; i < 4; i++) {
    const exited = await zygote.next('exited')
    assert.deepEqual([exited.status, exited.signal], [0, 0])
  }
  assert.deepEqual(await zygote.exited, [0, null])
})

test('zygote: an ASGI worker whose lifespan fails to start leaves nothing beside its socket, nor the socket', async t => {
  const directory = join(import.meta.dirname, '../app/apps')
  const zygote = new Zygote(t, { kind: 'asgi', module: 'asgi_things:failing', directory, gunicorn: null })
  await zygote.next('ready')
  zygote.send({ command: 'fork', slot: 0 })
  assert.match((await zygote.next('worker_failed')).error, /no database/)
  await zygote.next('exited')
  assert.deepEqual(readdirSync(zygote.dir), [])
})

const FAILURES: [string, RegExp, RegExp][] = [
  ['missing', /^cannot load "missing": there is no module "missing" in .*apps$/, /^$/],
  ['missing.deeper:app', /there is no module "missing"/, /^$/],
  ['basic:nothing_here', /there is no "nothing_here" in .*apps\/basic\.py, did you mean "basic:nothing"\?$/, /^$/],
  ['basic:not_callable', /"not_callable" in .*basic\.py is not callable: 3$/, /^$/],
  ['basic:wrong_factory()', /what wrong_factory\(\) returns is not callable: 'text'$/, /^$/],
  ['basic:not_callable()', /it calls what is not callable: 3$/, /^$/],
  ['basic:factory(1 + x)', /arguments must be literals$/, /^$/],
  ['basic:factory(', /"factory\(" is not a name nor a call$/, /^$/],
  ['basic:factory()', /the arguments are wrong: .*missing 1 required positional/, /^$/],
  [
    'basic:broken_factory()',
    /calling broken_factory\(\) failed: RuntimeError: made badly \(.*basic\.py:\d+\)$/,
    /made\nbadly/,
  ],
  ['basic:leaving_factory()', /failed: SystemExit: 2 \(.*basic\.py:\d+\)$/, /SystemExit/],
  ['./basic.py', /"\.\/basic\.py" is not the name of a module, as "basic" is$/, /^$/],
  [':app', /no module is named$/, /^$/],
  [
    'broken_import',
    /importing it failed: ModuleNotFoundError: No module named 'a_module_that_is_missing' \(.*broken_import\.py:1\); the interpreter is \//,
    /^Traceback \(most recent call last\):\n {2}File ".*broken_import\.py", line 1/,
  ],
  ['broken_value', /importing it failed: ValueError: not today \(.*broken_value\.py:2\)$/, /in deep\n/],
  ['broken_syntax', /importing it failed: SyntaxError: .*\(.*broken_syntax\.py:3\)$/, /SyntaxError/],
  ['broken_exit', /importing it failed: SystemExit: leaving \(.*broken_exit\.py:3\)$/, /SystemExit/],
]
for (const [module, error, traceback] of FAILURES) {
  test(`loader: "${module}" fails with place and cause in one line`, async t => {
    const zygote = new Zygote(t, { module })
    const failed = await zygote.next('failed')
    assert.match(failed.error, error)
    assert.doesNotMatch(failed.error, /\n/)
    assert.match(failed.traceback, traceback)
    assert.doesNotMatch(failed.traceback, /importlib|loader\.py/)
    assert.deepEqual(await zygote.exited, [4, null])
  })
}

for (const [what, kind, module, error] of [
  ['an ASGI application', 'sync', 'basic:asynchronous', /it is an ASGI application, say "kind asgi" \(-k asgi\)$/],
  ['an object that is one', 'threads', 'basic:Asynchronous()', /it is an ASGI application/],
] as const) {
  test(`loader: ${what} is no application for workers of kind ${kind}`, async t => {
    const zygote = new Zygote(t, { module, kind })
    assert.match((await zygote.next('failed')).error, error)
    assert.deepEqual(await zygote.exited, [4, null])
  })
}

for (const preload of [true, false]) {
  test(`loader: a WSGI application for workers of kind asgi is told of once (preload ${preload})`, async t => {
    const zygote = new Zygote(t, { module: 'basic:application', kind: 'asgi', preload })
    const noted = async (): Promise<void> =>
      assert.match(
        (await zygote.next('log')).message,
        /^"basic:application" takes two arguments, as a WSGI application does/,
      )
    if (preload) await noted()
    await zygote.next('ready')
    zygote.send({ command: 'fork', slot: 0 })
    if (!preload) await noted()
    await zygote.next('worker')
    await zygote.fork(1)
  })
}

test('loader: a dotted name and a factory with literal arguments are found', async t => {
  const { front } = await serve(t, { module: 'basic:Holder.application' })
  assert.equal((await front.get()).body, 'Hello, World!\n')
  const { front: made } = await serve(t, { module: 'basic: factory("one", suffix="-two")' })
  assert.equal((await made.get()).body, 'one-two')
})

test('zygote: settings that cannot be met are refused', async t => {
  const cases: [object, RegExp][] = [
    [{ kind: 'eventlet' }, /worker kind "eventlet" is not known; there is asgi, gevent, sync, threads/],
    [{ directory: '/nowhere' }, /cannot enter directory "\/nowhere": No such file/],
    [{ user: 'nobody-of-that-name' }, /user "nobody-of-that-name" does not exist/],
    [{ group: 'no-such-group' }, /group "no-such-group" does not exist/],
  ]
  for (const [settings, message] of cases) {
    const zygote = new Zygote(t, { module: 'basic', ...settings })
    assert.match((await zygote.next('failed')).error, message)
    assert.deepEqual(await zygote.exited, [4, null])
  }
})

test('zygote: without preload the application is loaded by each worker, which says why it cannot', async t => {
  const zygote = new Zygote(t, { module: 'broken_value', preload: false })
  assert.equal((await zygote.next('ready')).preloaded, false)
  zygote.send({ command: 'fork', slot: 5 })
  const failed = await zygote.next('worker_failed')
  assert.equal(failed.slot, 5)
  assert.match(failed.error, /ValueError: not today/)
  assert.match(failed.traceback, /in deep/)
  const exited = await zygote.next('exited')
  assert.deepEqual([exited.pid, exited.status], [failed.pid, 4])
  const { front } = await serve(t, { module: 'basic', preload: false })
  assert.equal((await front.get()).body, 'Hello, World!\n')
})

test('zygote: a path too long for a socket is told as such', async t => {
  const zygote = new Zygote(t, { module: 'basic', app: 'a'.repeat(100) })
  await zygote.next('ready')
  zygote.send({ command: 'fork', slot: 0 })
  assert.match((await zygote.next('worker_failed')).error, /cannot listen on ".*aaa.*": AF_UNIX path too long/)
})

test('zygote: the application finds its settings and nothing of the bridge', async t => {
  const { front } = await serve(t, { module: 'basic', umask: 0o27, env: { COLOR: 'green' } })
  const { body } = await front.get('/state')
  assert.match(body, /'path': \[\], 'PYTHONPATH': None,/)
  assert.ok(body.includes(`'cwd': '${APPS}', 'first': '${APPS}', 'umask': 23, 'env': 'green', 'sigchld': True`), body)
})

test('zygote: started by root, it becomes the user before it imports anything', async t => {
  if (!needsOtherUsers(t)) return
  const dir = tempDir(t)
  chmodSync(dir, 0o777)
  const { front } = await serve(t, { module: 'basic', user: 'nobody', python: '/usr/bin/python3', socket_dir: dir })
  const [uid, gid] = ['-u', '-g'].map(flag => execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }).trim())
  assert.match((await front.get('/state')).body, new RegExp(`'uid': ${uid}, 'gid': ${gid}, 'groups': \\[${gid}\\]`))
})

test('zygote: an interpreter that its user cannot read is told in one line, with what to do', async t => {
  if (!needsOtherUsers(t)) return
  const home = tempDir(t)
  const made = spawnSync('/usr/bin/python3', ['-m', 'venv', '--without-pip', join(home, 'venv')], { encoding: 'utf8' })
  if (made.status !== 0) return t.skip('needs the module venv')
  chmodSync(home, 0o700)
  const python = join(home, 'venv/bin/python')
  for (const kind of ['sync', 'asgi']) {
    const zygote = new Zygote(t, { module: 'basic', user: 'nobody', kind, python })
    const { error, traceback } = await zygote.next('failed')
    assert.equal(
      error,
      `user "nobody" cannot read "${join(home, 'venv')}", which the interpreter "${python}" needs: ` +
        'name another one ("python /usr/bin/python3;"), another "user", or open that folder',
    )
    assert.equal(traceback, '')
    assert.deepEqual(await zygote.exited, [4, null])
    assert.equal(zygote.stderr, '')
  }
})

test('zygote: threads that a preloaded application has started are reported', async t => {
  const zygote = new Zygote(t, { module: 'threaded' })
  assert.match((await zygote.next('log')).message, /started threads while it was preloaded.*: background$/)
  await zygote.next('ready')
})

test('worker: SIGABRT leaves all stacks on standard error, and the exit is told', async t => {
  const { zygote, front, worker } = await serve(t, { module: 'basic' })
  front.ask('/hangs', {}, Buffer.alloc(0))
  await eventually(() => front.logs.length === 1)
  zygote.send({ command: 'abort', pid: worker.pid })
  const exited = await zygote.next('exited')
  assert.deepEqual([exited.pid, exited.signal], [worker.pid, 6])
  await eventually(() => /a_function_that_hangs/.test(zygote.stderr))
  assert.match(zygote.stderr, /Fatal Python error: Aborted/)
  await front.ended
  assert.equal((await zygote.fork(0)).slot, 0)
  assert.equal(existsSync(worker.path), false)
})

test('worker: one that survives SIGABRT is killed a second later', async t => {
  const { zygote, worker } = await serve(t, { module: 'basic' })
  // A stopped process acts on no signal but SIGKILL.
  signalTo(worker.pid, 'SIGSTOP')
  await eventually(() => stateOf(worker.pid) === 'T')
  const asked = performance.now()
  zygote.send({ command: 'abort', pid: worker.pid })
  assert.equal((await zygote.next('exited')).signal, 9)
  assert.ok(performance.now() - asked > 900)
})

test('worker: a kill from anywhere is told, with the signal', async t => {
  const { zygote, worker, front } = await serve(t, { module: 'basic' })
  signalTo(worker.pid, 'SIGKILL')
  const exited = await zygote.next('exited')
  assert.deepEqual([exited.slot, exited.pid, exited.status, exited.signal], [0, worker.pid, 0, 9])
  await front.ended
  const other = await zygote.fork(1)
  zygote.send({ command: 'kill', pid: other.pid })
  assert.equal((await zygote.next('exited')).signal, 9)
})

test('worker: a graceful stop finishes the request that is being served', async t => {
  const { zygote, front, worker } = await serve(t, { module: 'basic' })
  const fifo = makeFifo(t)
  front.ask(`/waits?${fifo}`, {}, Buffer.alloc(0))
  const gate = await open(fifo, 'w')
  zygote.send({ command: 'stop', graceful: true })
  await eventually(() => refuses(worker.path))
  await gate.close()
  assert.equal((await front.answer()).body, 'waited in MainThread')
  await front.ended
  assert.equal(front.bye, true)
  assert.equal((await zygote.next('exited')).status, 0)
  assert.deepEqual(await zygote.exited, [0, null])
})

test('worker: a graceful stop has an end', async t => {
  const { zygote, front } = await serve(t, { module: 'basic', graceful_timeout: 0.3 })
  front.ask('/hangs', {}, Buffer.alloc(0))
  await eventually(() => front.logs.length === 1)
  zygote.send({ command: 'stop', graceful: true })
  assert.match(
    (await zygote.next('log')).message,
    /^worker process \d+ has not ended within 0\.3 seconds and is killed$/,
  )
  assert.equal((await zygote.next('exited')).signal, 9)
  assert.deepEqual(await zygote.exited, [0, null])
})

test('worker: a stop without grace is at once', async t => {
  const { zygote, front } = await serve(t, { module: 'basic' })
  front.ask('/hangs', {}, Buffer.alloc(0))
  zygote.send({ command: 'stop', graceful: false })
  assert.equal((await zygote.next('exited')).signal, 9)
  assert.deepEqual(await zygote.exited, [0, null])
})

test('worker: signals mean what they mean to a Gunicorn worker', async t => {
  const zygote = new Zygote(t, { module: 'basic' })
  await zygote.next('ready')
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
    const worker = await zygote.fork()
    const front = await Front.connect(t, worker.path)
    for (const ignored of ['SIGHUP', 'SIGUSR1'] as const) signalTo(worker.pid, ignored)
    assert.equal((await front.get()).status, '200 OK')
    signalTo(worker.pid, signal)
    const exited = await zygote.next('exited')
    assert.deepEqual([exited.status, exited.signal], [0, 0], signal)
    await front.ended
    assert.equal(front.bye, signal === 'SIGTERM')
  }
})

test('worker: what had been sent before it was told to leave is served', async t => {
  const { zygote, front, worker } = await serve(t, { module: 'basic' })
  for (let round = 0; round < 20; round++) {
    front.ask('/hello', {}, Buffer.alloc(0))
    if (round === 19) signalTo(worker.pid, 'SIGTERM')
    await Promise.race([front.answer(), front.ended])
  }
  await front.ended
  assert.equal(front.bye, true)
  assert.equal((await zygote.next('exited')).status, 0)
})

test('worker: SHUTDOWN from a front makes it leave', async t => {
  const { zygote, front } = await serve(t, { module: 'basic' })
  assert.equal((await front.get()).status, '200 OK')
  front.socket.write(encodeShutdown())
  await front.ended
  assert.equal(front.bye, true)
  assert.equal((await zygote.next('exited')).status, 0)
})

test('worker: two front threads are served in turn, and a third when it comes', async t => {
  const { zygote, front, worker } = await serve(t, { module: 'basic', front_threads: 2 })
  const fronts = [front, await Front.connect(t, worker.path), await Front.connect(t, worker.path)]
  for (let i = 0; i < 60; i++) {
    const answer = await fronts[i % 3]!.get('/echo', {}, Buffer.from(String(i)))
    assert.equal(answer.body, String(i))
  }
  const all = await Promise.all(fronts.map(one => one.get('/pid')))
  assert.deepEqual(
    all.map(answer => answer.body),
    Array(3).fill(String(worker.pid)),
  )
  fronts[1]!.socket.destroy()
  assert.equal((await fronts[2]!.get()).status, '200 OK')
  signalTo(worker.pid, 'SIGTERM')
  await Promise.all([fronts[0]!.ended, fronts[2]!.ended])
  assert.deepEqual([fronts[0]!.bye, fronts[2]!.bye], [true, true])
  assert.equal((await zygote.next('exited')).status, 0)
})

test('worker: with one front thread, a new connection takes the place of one that ended', async t => {
  const { front, worker } = await serve(t, { module: 'basic' })
  const second = Front.begin(t, worker.path)
  front.socket.destroy()
  assert.equal((await second.get()).status, '200 OK')
})

test('worker: of kind threads, each thread serves a socket of its own, at the same time', async t => {
  const { zygote, worker } = await serve(t, { module: 'basic', kind: 'threads', threads: 3 })
  assert.equal(worker.paths.length, 3)
  assert.equal(worker.paths[0], worker.path)
  const fronts = [await Front.connect(t, worker.paths[1]!), await Front.connect(t, worker.paths[2]!)]
  const fifos = [makeFifo(t), makeFifo(t)]
  for (const [i, front] of fronts.entries()) front.ask(`/waits?${fifos[i]}`, {}, Buffer.alloc(0))
  // A fifo opens for writing when it is open for reading: both requests are inside the application.
  const gates = [await open(fifos[0]!, 'w'), await open(fifos[1]!, 'w')]
  for (const gate of gates) await gate.close()
  assert.deepEqual(
    (await Promise.all(fronts.map(front => front.answer()))).map(answer => answer.body),
    ['waited in portico-1', 'waited in portico-2'],
  )
  assert.match((await fronts[0]!.get('/show-environ')).body, /wsgi\.multithread=True/)
  assert.equal(fronts[1]!.hello.thread, 2)
  zygote.send({ command: 'stop', graceful: true })
  assert.equal((await zygote.next('exited')).status, 0)
  for (const front of fronts) {
    await front.ended
    assert.equal(front.bye, true)
  }
})

test('zygote: when the master goes, no process is left, whatever the workers do', async t => {
  for (const leave of ['abandon', 'closeLife'] as const) {
    const { zygote, front } = await serve(t, { module: 'basic' })
    await zygote.fork(1)
    front.ask('/hangs', {}, Buffer.alloc(0))
    const all = processTree(zygote.process.pid!)
    assert.equal(all.length, 3)
    zygote[leave]()
    await within(zygote.exited, 60_000, () => `the zygote outlived its master (${leave})`)
    await eventually(() => all.every(one => processTree(one.pid).length === 0))
  }
})

test('zygote: when it is killed, its workers go with it', async t => {
  const { zygote, front } = await serve(t, { module: 'basic' })
  await zygote.fork(1)
  front.ask('/hangs', {}, Buffer.alloc(0))
  const all = processTree(zygote.process.pid!)
  zygote.process.kill('SIGKILL')
  await eventually(() => all.every(one => processTree(one.pid).length === 0))
})

test('zygote: SIGTERM is a graceful stop', async t => {
  const { zygote, front } = await serve(t, { module: 'basic' })
  zygote.process.kill('SIGTERM')
  await front.ended
  assert.equal(front.bye, true)
  assert.equal((await zygote.next('exited')).status, 0)
  assert.deepEqual(await zygote.exited, [0, null])
})

function makeFifo(t: Parameters<typeof tempDir>[0]): string {
  const fifo = join(tempDir(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  return fifo
}

/** The letter /proc shows for a process. */
function stateOf(pid: number): string {
  return execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).trim()
}

async function refuses(path: string): Promise<boolean> {
  const socket = net.connect(path)
  const [answer] = await Promise.race([once(socket, 'connect').then(() => [null]), once(socket, 'error')])
  socket.destroy()
  return answer !== null
}
