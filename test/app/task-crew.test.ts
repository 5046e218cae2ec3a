// The processes for tasks: which of them go when there are to be fewer, what is told where one cannot begin, and what becomes of one
// whose reader has stopped.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import { signalTo } from '../helpers/processes.ts'
import { arbiterOf, manyWorkers, serveTasks } from './task-server.ts'

const COUNTER = 'tasks:Counter'

test('task crew: of several processes the one that alone has a class stays to the last', async t => {
  const { ask, server } = await serveTasks(t, 'sync', 'dirty_app tasks:Single; dirty_workers 3;')
  await manyWorkers(server, 3)
  const only = await ask('execute', 'tasks:Single', 'pid')
  const { pid } = arbiterOf(server)
  for (const left of [2, 1]) {
    signalTo(pid, 'SIGTTOU')
    await manyWorkers(server, left)
    assert.equal(await ask('execute', 'tasks:Single', 'pid'), only)
  }
  assert.equal(await ask('execute', COUNTER, 'pid'), only)
})

test('task crew: there are never fewer processes than a class asks for, with a word', async t => {
  const { ask, server } = await serveTasks(t, 'sync', 'dirty_app tasks:Single:2; dirty_workers 2;')
  await manyWorkers(server, 2)
  signalTo(arbiterOf(server).pid, 'SIGTTOU')
  await eventually(() => /\[warn\] .*there cannot be less than 2 task workers/.test(server.errorLog()))
  const pids = new Set<number>()
  await eventually(async () => pids.add(await ask('execute', 'tasks:Single', 'pid')).size === 2)
})

test('task crew: what waits for a process has as long as a task may take', async t => {
  const { ask, notes } = await serveTasks(t, 'threads', 'dirty_workers 1; dirty_timeout 30s;')
  const first = ask('execute', COUNTER, 'sleep', 1.5)
  await eventually(() => notes().includes('begun'))
  assert.equal(await ask('execute', COUNTER, 'code'), 1)
  assert.equal(await first, 'slept')
})

const broken: Readonly<Record<string, string>> = {
  'tasks:Missing': 'cannot load "tasks:Missing": there is no "Missing" in ',
  'tasks:NO_CLASS': 'cannot load "tasks:NO_CLASS": it is not a class',
  'tasks:Unable': 'cannot load "tasks:Unable": it has no ',
  'tasks:Uncounted': 'cannot load "tasks:Uncounted": its "workers" must be a number from 1, or None, not 0',
  'tasks:Unmade': 'cannot load "tasks:Unmade": making it failed: RuntimeError: not to be made',
  'tasks:Unready': 'tasks:Unready: init() failed: RuntimeError: not ready',
}

for (const [name, why] of Object.entries(broken)) {
  test(`task crew: a process cannot begin with ${name}, and the log says why`, async t => {
    const { ask, server } = await serveTasks(t, 'sync', `dirty_app ${name}; dirty_workers 1;`)
    await eventually(() => server.errorLog().includes(`cannot begin: ${why}`))
    const { error } = await ask('execute', COUNTER, 'hit')
    assert.match(error, /^Dirty(NoWorkersAvailable)?Error$/)
  })
}

test('task crew: a stream whose reader has stopped waits for it, and is closed when that leaves', async t => {
  const { ask, notes, notesFile } = await serveTasks(t)
  assert.equal(await ask('clients', 'stalled', notesFile), 65536)
  await eventually(() => notes().includes('unladen'))
  assert.equal(await ask('execute', COUNTER, 'hit'), 1)
  // What is made and not read is bounded.
  assert.ok(notes().length < 1000, `${notes().length} times 16 pieces`)
})
