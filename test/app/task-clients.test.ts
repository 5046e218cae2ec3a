// Clients of tasks and of the stash, beside the plain way (tasks.test.ts): closed and used again, without a server, out of patience.
// The names are Gunicorn's; what they do stands in apps/clients.py.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import { serveTasks } from './task-server.ts'

for (const kind of ['threads', 'asgi']) {
  test(`task clients (${kind}): one that was closed connects again, and that of a thread or loop is one until it is closed`, async t => {
    const { ask } = await serveTasks(t, kind)
    const results = await ask('clients', 'closing')
    assert.deepEqual(results, kind === 'asgi' ? [1, true, false, 2] : [1, 2, true, false, 3])
  })

  test(`task clients (${kind}): what cannot be connected to is told by an error of theirs`, async t => {
    const { ask } = await serveTasks(t, kind)
    const failed = 'DirtyConnectionError'
    const stash = kind === 'asgi' ? [] : ['StashError']
    assert.deepEqual(await ask('clients', 'unreachable'), [failed, failed, failed, ...stash])
  })

  test(`task clients (${kind}): one that has waited long enough is told so, by tasks and within streams, and is of use again`, async t => {
    const { ask, notes } = await serveTasks(t, kind, 'dirty_workers 1; dirty_threads 3;')
    assert.equal(await ask('execute', 'tasks:Counter', 'hit'), 1)
    const [task, first, next, rest] = await ask('clients', 'late', 'go')
    assert.match(task, /^DirtyTimeoutError: Timeout waiting for dirty app response/)
    assert.match(next, /^DirtyTimeoutError: Stream exceeded total timeout/)
    assert.deepEqual([first, rest], [1, []])
    // The tasks themselves go on until they have what they wait for.
    await eventually(() => notes().filter(note => note === 'waits').length === 2)
    await ask('stash', 'put', 'signals', 'go', true)
    await eventually(async () => (await ask('execute', 'tasks:Counter', 'hit')) === 2)
  })
}

test('task clients: a table of the stash is a dict', async t => {
  const { ask } = await serveTasks(t)
  const [before, full, less, empty, exists, info] = await ask('clients', 'tables')
  assert.deepEqual(before, [0, true, false])
  assert.deepEqual(full, [
    [
      ['a', 1],
      ['b', null],
    ],
    ['a', 'b'],
    [1, null],
    null,
  ])
  assert.deepEqual(less, ["KeyError: 'a'", ['b'], "KeyError: 'a'"])
  assert.deepEqual([empty, exists], [0, false])
  assert.match(info, /^StashTableNotFoundError/)
})
