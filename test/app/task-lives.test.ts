// The pool for tasks over reloads and to its end: new code takes over without a task or the stash being lost, what is wrong changes
// nothing, and at the end what is being done is finished.

import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { needs, needsOtherUsers } from '../helpers/needs.ts'
import { isAlive } from '../helpers/processes.ts'
import { arbiterOf, arbitersOf, manyWorkers, serveTasks, taskWorkers } from './task-server.ts'

const COUNTER = 'tasks:Counter'

test('tasks: after a reload they are done by new code, those begun before are finished, and the stash is kept', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server, dir, notes } = await serveTasks(t, 'threads', 'dirty_workers 2;')
  await manyWorkers(server, 2)
  await ask('stash', 'put', 't', 'kept', 1)
  const arbiter = arbiterOf(server).pid
  const old = ask('execute', COUNTER, 'wait_for', 'go')
  await eventually(() => notes().includes('waits'))
  appendFileSync(join(dir, 'tasks.py'), '\nCODE = 2\n')
  await server.reload()
  await eventually(async () => (await ask('execute', COUNTER, 'code')) === 2)
  await ask('stash', 'put', 'signals', 'go', true)
  assert.equal(await old, 'go')
  assert.equal(await ask('stash', 'get', 't', 'kept'), 1)
  assert.equal(arbiterOf(server).pid, arbiter)
  await manyWorkers(server, 2)
})

test('tasks: a reload may change how many processes there are, and who does what', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server } = await serveTasks(t)
  await eventually(() => arbitersOf(server).length === 1)
  const arbiter = arbiterOf(server).pid
  const conf = join(server.dir, 'portico.conf')
  writeFileSync(
    conf,
    readFileSync(conf, 'utf8').replace('dirty_workers 1;', 'dirty_workers 3; dirty_app tasks:Single;'),
  )
  await server.reload()
  await eventually(async () => typeof (await ask('execute', 'tasks:Single', 'pid')) === 'number')
  await manyWorkers(server, 3)
  assert.equal(arbiterOf(server).pid, arbiter)
  // With another environment it is another process.
  writeFileSync(
    conf,
    readFileSync(conf, 'utf8').replace('dirty_workers 3;', 'dirty_workers 1; environment COLOUR=red;'),
  )
  await server.reload()
  await eventually(async () => (await ask('execute', COUNTER, 'whoami'))[3] === 'red')
  await eventually(() => arbitersOf(server).length === 1)
  assert.notEqual(arbiterOf(server).pid, arbiter)
  // Without tasks there is nothing left of it, and who asks is told.
  const processes = [...taskWorkers(server), arbiterOf(server)]
  writeFileSync(conf, readFileSync(conf, 'utf8').replace('dirty_workers 1;', 'dirty_workers 0;'))
  await server.reload()
  await eventually(() => !processes.some(isAlive))
  await eventually(async () => (await ask('execute', COUNTER, 'hit')).error === 'DirtyError')
})

test('tasks: a class that cannot be loaded is told of, and the old one goes on', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server, dir } = await serveTasks(t)
  assert.equal(await ask('execute', COUNTER, 'hit'), 1)
  const code = readFileSync(join(dir, 'tasks.py'), 'utf8')
  writeFileSync(join(dir, 'tasks.py'), `${code}\nraise ValueError('not today')\n`)
  await server.reload()
  const told = /task worker \d+ cannot begin: cannot load "tasks:Counter": importing it failed: ValueError: not today/
  await eventually(() => told.test(server.errorLog()))
  assert.equal(await ask('execute', COUNTER, 'hit'), 2)
  writeFileSync(join(dir, 'tasks.py'), `${code}\nCODE = 3\n`)
  await server.reload()
  await eventually(async () => (await ask('execute', COUNTER, 'code')) === 3)
})

test('tasks: at a start, too, what cannot be loaded is tried again, and who asks is told at once', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server } = await serveTasks(t, 'sync', 'dirty_app tasks:Missing;')
  await eventually(() => /cannot load "tasks:Missing": there is no "Missing" in .*tasks\.py/.test(server.errorLog()))
  await eventually(async () => {
    const { error } = await ask('execute', COUNTER, 'hit')
    return error === 'DirtyError' || error === 'DirtyNoWorkersAvailableError'
  })
})

test('tasks: a stop finishes what is being done, closes the classes, and leaves nothing', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server, notes } = await serveTasks(t, 'threads')
  const answer = ask('execute', COUNTER, 'sleep', 1)
  await eventually(() => notes().includes('begun'))
  const stopped = server.stop()
  assert.equal(await answer, 'slept')
  await stopped
  assert.equal(notes().at(-1), 'closed')
})

test('tasks: a stop at once does not wait for them', async t => {
  if (!needs(t, 'python3')) return
  const { ask, server, notes } = await serveTasks(t, 'threads')
  const answer = ask('execute', COUNTER, 'sleep', 60).catch(() => 'lost')
  await eventually(() => notes().includes('begun'))
  const processes = [...taskWorkers(server), arbiterOf(server)]
  await server.stop('SIGINT')
  assert.ok(!processes.some(isAlive))
  // Killed, and not left to what happens when the process that hands tasks out has gone.
  assert.match(server.errorLog(), /task worker \d+ exited on signal 9/)
  await answer
})

test('tasks: they are done as the application’s user, in its folder, with its environment', async t => {
  if (!needs(t, 'python3')) return
  if (!needsOtherUsers(t)) return
  const { ask, dir } = await serveTasks(t, 'sync', 'user 12345 23456; environment COLOUR=blue;')
  assert.deepEqual(await ask('execute', COUNTER, 'whoami'), [12345, 23456, dir, 'blue'])
  assert.equal(await ask('stash', 'exists', 'made'), true)
})
