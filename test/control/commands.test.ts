// Every command with the names and forms that Gunicorn's answers have.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TaskChange, Tasks } from '../../src/app/pool/tasks.ts'
import { answer } from '../../src/control/commands.ts'
import type { RunningProgram } from '../../src/control/program.ts'
import { app, program } from './program.ts'

async function ask(to: RunningProgram, command: string, args?: readonly unknown[]): Promise<any> {
  const given = await answer(to, { id: 7, command, ...(args === undefined ? {} : { args }) })
  const message = given?.message as any
  assert.equal(message.id, 7)
  assert.equal(message.status, 'ok', message.error)
  return message.data
}

async function refused(to: RunningProgram, command: string, args: readonly unknown[] = []): Promise<string> {
  const { message } = (await answer(to, { id: 7, command, args })) as any
  assert.deepEqual(Object.keys(message), ['id', 'status', 'error'])
  assert.equal(message.status, 'error')
  return message.error
}

test('show workers: the oldest first, with their state and what they have served', async () => {
  assert.deepEqual(await ask(program(), 'show workers'), {
    workers: [
      { pid: 30, age: 1, booted: true, aborted: false, last_heartbeat: null, state: 'serving', requests: 12 },
      { pid: 31, age: 2, booted: false, aborted: false, last_heartbeat: null, state: 'starting' },
    ],
    count: 2,
  })
})

test('where there are several applications, workers are shown with theirs', async () => {
  const several = program({ apps: [app('site', 2), app('shop', 1)] })
  const { workers } = await ask(several, 'show workers')
  assert.equal(workers[0].app, 'site')
})

test('show all, stats, listeners, config, dirty', async () => {
  const one = program()
  const all = await ask(one, 'show all')
  assert.deepEqual(all.arbiter, { pid: 10, type: 'arbiter', role: 'master' })
  assert.deepEqual(all.front, { pid: 11, type: 'front' })
  assert.deepEqual(all.web_workers[0], {
    pid: 30,
    age: 1,
    booted: true,
    last_heartbeat: null,
    state: 'serving',
    requests: 12,
    type: 'web',
  })
  const { web_worker_count, dirty_arbiter, dirty_workers, dirty_worker_count } = all
  assert.deepEqual([web_worker_count, dirty_arbiter, dirty_workers, dirty_worker_count], [2, null, [], 0])
  const { uptime, ...stats } = await ask(one, 'show stats')
  assert.ok(uptime >= 5)
  assert.deepEqual(stats, {
    pid: 10,
    workers_current: 2,
    workers_target: 2,
    workers_spawned: 4,
    workers_killed: 2,
    reloads: 1,
    dirty_arbiter_pid: null,
  })
  const listeners = [{ address: 'http://127.0.0.1:8000', fd: 5, type: 'tcp' }]
  assert.deepEqual(await ask(one, 'show listeners'), { listeners, count: 1 })
  assert.deepEqual(await ask(one, 'show config'), { workers: 2 })
  assert.deepEqual(await ask(one, 'show dirty'), { enabled: false, pid: null, workers: [], apps: [] })
})

test('words may be in the command, in the arguments, quoted, and in any case', async () => {
  const one = program()
  assert.equal((await ask(one, 'show', ['workers'])).count, 2)
  assert.equal((await ask(one, ' SHOW  "Workers" ')).count, 2)
  assert.equal((await ask(one, 'worker add', [2])).total, 4)
})

test('worker add and remove tell what became of it; there is always one', async () => {
  const one = program()
  assert.deepEqual(await ask(one, 'worker add'), { added: 1, previous: 2, total: 3 })
  assert.deepEqual(await ask(one, 'worker add 99'), { added: 5, previous: 3, total: 8 })
  assert.deepEqual(await ask(one, 'worker remove 2'), { removed: 2, previous: 8, total: 6 })
  assert.deepEqual(await ask(one, 'worker remove -3'), { removed: 1, previous: 6, total: 5 })
  assert.deepEqual(await ask(one, 'worker remove 99'), { removed: 4, previous: 5, total: 1 })
})

test('of several applications one is named; of none there is nothing to add', async () => {
  const several = program({ apps: [app('site', 2), app('shop', 1)] })
  assert.equal(
    await refused(several, 'worker add'),
    'Invalid argument: there are several applications, name one: "site", "shop"',
  )
  assert.deepEqual(await ask(several, 'worker add 2 shop'), { added: 2, previous: 1, total: 3 })
  assert.deepEqual(await ask(several, 'worker remove shop'), { removed: 1, previous: 3, total: 2 })
  assert.match(await refused(several, 'worker add 2 else'), /there is no application "else"/)
  assert.match(await refused(program({ apps: [] }), 'worker add'), /there is no application$/)
})

test('worker kill ends a worker, and tells of one that is not there', async () => {
  const one = program()
  assert.deepEqual(await ask(one, 'worker kill 30'), { success: true, killed: 30 })
  assert.deepEqual(await ask(one, 'worker kill 99'), { success: false, error: 'Worker 99 not found' })
  assert.deepEqual(one.ended, [30, 99])
})

test('what ends or renews the program is done after the answer', async () => {
  const given = async (command: string): Promise<unknown[]> => {
    const { message, order } = (await answer(program(), { command })) as any
    return [message.data, order]
  }
  assert.deepEqual(await given('reload'), [{ status: 'reloading' }, 'reconfigure'])
  assert.deepEqual(await given('reopen'), [{ status: 'reopening' }, 'reopen'])
  assert.deepEqual(await given('shutdown'), [{ status: 'shutting_down', mode: 'graceful' }, 'quit'])
  assert.deepEqual(await given('shutdown quick'), [{ status: 'shutting_down', mode: 'quick' }, 'terminate'])
})

test('help names every command', async () => {
  const { commands } = await ask(program(), 'help')
  assert.ok(Object.keys(commands).length >= 15)
  assert.ok('worker kill <PID>' in commands && 'shutdown [graceful|quick]' in commands)
})

test('what is wrong with a command is told', async () => {
  const one = program()
  assert.equal(await refused(one, ' '), 'Empty command')
  assert.equal(await refused(one, 'bogus'), 'Invalid argument: Unknown command: bogus')
  assert.equal(await refused(one, 'show bogus'), 'Invalid argument: Unknown show target: bogus')
  assert.match(await refused(one, 'show'), /^Invalid argument: Missing show target/)
  assert.match(await refused(one, 'worker'), /^Invalid argument: Missing worker action/)
  assert.match(await refused(one, 'worker kill'), /^Invalid argument: Missing PID/)
  assert.match(await refused(one, 'worker kill abc'), /^Invalid argument: "abc" is no whole number/)
  assert.match(await refused(one, 'dirty'), /^Invalid argument: Missing dirty action/)
  assert.match(await refused(one, 'shutdown later'), /^Invalid argument: Unknown shutdown mode: later/)
  assert.match(await refused(one, 'show "workers'), /^Invalid argument: a quote is not closed/)
  assert.equal(await answer(one, { command: 3 }), null, 'this is no command at all')
  assert.equal(await answer(one, { command: 'show', args: 'workers' }), null)
})

test('task processes are shown, added and removed where they run', async () => {
  const change = (operation: 'add' | 'remove', requested: number): TaskChange => {
    return { success: true, operation, requested, total_workers: 2, target_workers: 2 }
  }
  const worker = { pid: 51, age: 1, apps: ['a:B'], booted: true, last_heartbeat: null }
  const type = { import_path: 'a:B', worker_count: null, current_workers: 1, worker_pids: [51] }
  const tasks: Tasks = {
    show: () => ({ pid: 50, workers: [worker], apps: [type] }),
    add: count => Promise.resolve(change('add', count)),
    remove: count => Promise.resolve(change('remove', count)),
  }
  const with_ = program({ apps: [app('site', 1, tasks)] })
  assert.deepEqual(await ask(with_, 'show dirty'), { enabled: true, pid: 50, workers: [worker], apps: [type] })
  assert.equal((await ask(with_, 'show all')).dirty_arbiter.pid, 50)
  assert.equal((await ask(with_, 'show stats')).dirty_arbiter_pid, 50)
  assert.deepEqual(await ask(with_, 'dirty add 3'), change('add', 3))
  assert.deepEqual(await ask(with_, 'dirty remove'), change('remove', 1))
  assert.deepEqual(await ask(program(), 'dirty add'), { success: false, error: 'Dirty arbiter not running' })
})
