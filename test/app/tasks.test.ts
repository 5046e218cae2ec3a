// The second pool, for tasks: what an application of any kind asks its workers for, and what it gets when they fail, die, hang or
// are too many. Gunicorn's names and protocol.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { hasPython, needs } from '../helpers/needs.ts'
import { signalTo } from '../helpers/processes.ts'
import { arbiterOf, manyWorkers, serveTasks, taskWorkers } from './task-server.ts'

const COUNTER = 'tasks:Counter'

for (const kind of ['sync', 'threads', 'gevent', 'asgi']) {
  test(`tasks: an application of kind ${kind} has them done, in parts and whole, and hears of errors`, async t => {
    if (!needs(t, 'python3', ...(kind === 'gevent' ? (['gevent'] as const) : []))) return
    const { ask } = await serveTasks(t, kind)
    assert.deepEqual([await ask('execute', COUNTER, 'hit'), await ask('execute', COUNTER, 'hit', 5)], [1, 6])
    const values = [null, true, -3, 1.5, 'ü€😀', [1, [2]], { a: { b: null } }]
    assert.deepEqual(await ask('execute', COUNTER, 'echo', ...values), [values, {}])
    assert.deepEqual(await ask('stream', COUNTER, 'count_to', 5), [0, 1, 2, 3, 4])
    assert.deepEqual(await ask('stream', COUNTER, 'count_later', 2), [{ i: 0 }, { i: 1 }])
    assert.equal(await ask('execute', COUNTER, 'later'), 'later')
    assert.equal(await ask('bytes', 5_000_000), 5_000_000)
    const failed = async (...what: unknown[]): Promise<unknown[]> => Object.values(await ask(...what))
    assert.deepEqual(await failed('execute', COUNTER, 'fail', 'not today'), ['DirtyAppError', 'not today'])
    assert.deepEqual(await failed('execute', COUNTER, 'no'), ['DirtyAppError', 'Unknown action: no'])
    assert.deepEqual(await failed('execute', COUNTER, 'leave'), ['DirtyAppError', '3'])
    assert.deepEqual(await failed('stream', COUNTER, 'break_off'), ['DirtyAppError', 'after one'])
    assert.match((await failed('execute', COUNTER, 'unsendable')).join(), /^DirtyAppError,Unsupported type/)
    assert.match((await failed('execute', 'tasks:None', 'x')).join(), /^DirtyNoWorkersAvailableError,No workers/)
    assert.equal(await ask('execute', COUNTER, 'hit'), 7)
  })
}

test('tasks: each event loop has connections of its own, where an application makes many', async t => {
  if (!needs(t, 'python3')) return
  const { ask } = await serveTasks(t)
  assert.deepEqual(await ask('loops', 'execute', COUNTER, 'hit'), [1, 2, 3])
})

test('tasks: of the connections that many have used at a time a few are kept', async t => {
  if (!needs(t, 'python3')) return
  const { ask } = await serveTasks(t, 'asgi')
  const kept = await ask('crowd', COUNTER, 'hit')
  // Gunicorn's own client has but one.
  assert.ok(kept <= 8, `${kept} are kept`)
})

test('tasks: several threads of one process do several at a time', async t => {
  if (!needs(t, 'python3')) return
  const { ask } = await serveTasks(t, 'threads', 'dirty_threads 3;')
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => ask('execute', COUNTER, 'meet'))), [true, true, true])
})

test('tasks: as many processes have a class as it says itself, or as is said where it is named', async t => {
  if (!needs(t, 'python3')) return
  const app = 'dirty_app tasks:Single; dirty_workers 3;'
  const { ask, server } = await serveTasks(t, 'sync', app)
  await manyWorkers(server, 3)
  const pids = new Set<number>()
  await eventually(async () => pids.add(await ask('execute', COUNTER, 'pid')).size === 3)
  const [only] = await ask('execute', COUNTER, 'echo', await ask('execute', 'tasks:Single', 'pid'))
  for (let i = 0; i < 6; i++) assert.deepEqual([await ask('execute', 'tasks:Single', 'pid')], only)
  // Whoever replaces it has it too; a task may ask for another one's work.
  signalTo(only[0], 'SIGKILL')
  await eventually(async () => ![only[0], undefined].includes((await ask('execute', 'tasks:Single', 'pid')) as number))
})

test('tasks: a process that is killed takes its task along, and the next one is done by another', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server, notes } = await serveTasks(t, 'threads')
  const pid = await ask('execute', COUNTER, 'pid')
  const lost = ask('execute', COUNTER, 'sleep', 30)
  await eventually(() => notes().includes('begun'))
  signalTo(pid, 'SIGKILL')
  assert.match(Object.values(await lost).join(), /^DirtyWorkerError,Worker communication failed/)
  assert.equal(await ask('execute', COUNTER, 'hit'), 1)
  assert.notEqual(taskWorkers(server)[0]!.pid, pid)
})

test('tasks: when the process that hands them out is killed its workers end, and another takes its place', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server, notes } = await serveTasks(t, 'threads')
  await ask('stash', 'put', 'table', 'key', 1)
  const lost = ask('execute', COUNTER, 'sleep', 30)
  await eventually(() => notes().includes('begun'))
  const before = arbiterOf(server)
  signalTo(before.pid, 'SIGKILL')
  // The second is what Gunicorn's own client says, where that is installed.
  assert.match(Object.values(await lost).join(), /^DirtyConnectionError,|^DirtyProtocolError,Connection closed/)
  // Whoever asks meanwhile waits. Gunicorn's own client fails once more, on each connection that it had.
  if (hasPython('gunicorn.dirty')) await eventually(async () => (await ask('execute', COUNTER, 'code')) === 1)
  else assert.deepEqual(await Promise.all([1, 2].map(() => ask('execute', COUNTER, 'code'))), [1, 1])
  assert.notEqual(arbiterOf(server).pid, before.pid)
  const tables = () => ask('stash', 'tables')
  if (hasPython('gunicorn.dirty')) await eventually(async () => Array.isArray(await tables()))
  assert.deepEqual(await tables(), ['made'])
  await server.stop()
  assert.match(server.errorLog(), /\[alert\] .*the process that hands out tasks exited on SIGKILL/)
})

test('tasks: one that takes too long is told so, its stacks are written, and its process is replaced', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server } = await serveTasks(t, 'threads', 'dirty_timeout 1s; dirty_threads 2;')
  const pid = await ask('execute', COUNTER, 'pid')
  assert.deepEqual(await ask('execute', COUNTER, 'sleep', 60), {
    error: 'DirtyTimeoutError',
    message: 'Worker timeout',
  })
  await eventually(() => /Fatal Python error: Aborted[^]*in sleep/.test(server.output))
  await eventually(async () => (await ask('execute', COUNTER, 'pid')) !== pid)
  // Each value that a stream yields counts anew.
  assert.equal((await ask('stream', COUNTER, 'count_to', 1000)).length, 1000)
})

test('tasks: so many wait as may, and the next are refused', async t => {
  if (!needs(t, 'python3')) return
  const { ask, notes } = await serveTasks(t, 'threads', 'dirty_queue 1;')
  const first = ask('execute', COUNTER, 'wait_for', 'go')
  await eventually(() => notes().includes('waits'))
  // One of them waits.
  const others = [1, 2].map(() => ask('execute', COUNTER, 'code'))
  const refused = await Promise.race(others)
  assert.deepEqual(Object.values(refused), ['DirtyError', 'The queue of tasks is full: 1 wait (dirty_queue)'])
  await ask('stash', 'put', 'signals', 'go', true)
  assert.equal(await first, 'go')
  assert.ok((await Promise.all(others)).includes(1))
})

test('tasks: a stream nobody reads any more is closed, and its process is free', async t => {
  if (!needs(t, 'python3')) return
  const { ask, notes } = await serveTasks(t)
  assert.equal((await ask('first', COUNTER, 'endless')).length, 10_000)
  await eventually(() => notes().includes('closed early'))
  assert.equal(await ask('execute', COUNTER, 'hit'), 1)
})

test('tasks: the stash is one for all, like a dict, and has its limit', async t => {
  if (!needs(t, 'python3')) return
  const { ask } = await serveTasks(t, 'sync', 'dirty_workers 2; dirty_stash_size 4k;')
  await eventually(async () => (await ask('stash', 'tables')).includes('made'))
  assert.equal(await ask('stash', 'put', 't', 'a', { b: [1] }), null)
  assert.deepEqual(await ask('stash', 'get', 't', 'a'), { b: [1] })
  assert.equal(await ask('stash', 'get', 't', 'none', 7), 7)
  assert.deepEqual(await ask('table', 't'), [['a', 'b'], 2, 2, true, false, 3, "KeyError('missing')"])
  assert.deepEqual(await ask('stash', 'keys', 't', 'a*'), ['a'])
  assert.deepEqual(await ask('stash', 'info', 't'), { size: 2, table: 't' })
  assert.equal((await ask('stash', 'info', 'none')).error, 'StashTableNotFoundError')
  assert.deepEqual([await ask('stash', 'delete', 't', 'a'), await ask('stash', 'delete', 't', 'a')], [true, false])
  assert.equal(await ask('stash', 'put', 't', 'large', '.'.repeat(2000)), null)
  assert.match((await ask('stash', 'put', 't', 'more', '.'.repeat(2000))).message, /^the stash is full/)
  await ask('stash', 'clear', 't')
  assert.deepEqual(await ask('stash', 'keys', 't'), [])
})

test('tasks: what is no message ends that connection alone', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server } = await serveTasks(t)
  const path = await ask('socket')
  const said = await new Promise<string>(resolve => {
    let text = ''
    const socket = net.connect(path, () => socket.write('GET / HTTP/1.1\r\n\r\n'))
    socket.setEncoding('latin1').on('data', data => (text += data))
    socket.on('close', () => resolve(text))
  })
  assert.match(said, /^GD[^]*DirtyProtocolError[^]*Invalid magic/)
  assert.equal(await ask('execute', COUNTER, 'hit'), 1)
  assert.equal(taskWorkers(server).length, 1)
})

test('tasks: TTIN and TTOU add and take processes, TERM replaces the one that hands them out', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server } = await serveTasks(t)
  await ask('execute', COUNTER, 'hit')
  const { pid } = arbiterOf(server)
  signalTo(pid, 'SIGTTIN')
  await manyWorkers(server, 2)
  signalTo(pid, 'SIGTTOU')
  await manyWorkers(server, 1)
  signalTo(pid, 'SIGHUP')
  await eventually(async () => (await ask('execute', COUNTER, 'hit')) === 1)
  signalTo(pid, 'SIGTERM')
  await eventually(async () => (await ask('execute', COUNTER, 'code')) === 1 && arbiterOf(server).pid !== pid)
})
