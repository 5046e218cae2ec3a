// Answers as people read them.

import assert from 'node:assert/strict'
import test from 'node:test'
import { answer } from '../../src/control/commands.ts'
import { readable } from '../../src/control/tables.ts'
import { app, program } from './program.ts'

async function shown(command: string, more = {}): Promise<string> {
  const { message } = (await answer(program(more), { command })) as any
  return readable(command, message.data)
}

test('workers are a table; columns without anything in them are left out', async () => {
  assert.equal(
    await shown('show workers'),
    `PID  AGE  BOOTED  STATE     REQUESTS
30   1    yes     serving   12
31   2    no      starting  -

Total: 2`,
  )
  assert.match(
    await shown('show workers', { apps: [app('site', 1), app('shop', 1)] }),
    /APP +REQUESTS\n30 .* site +12\n/,
  )
  assert.equal(await shown('show workers', { workers: [] }), '(none)\n\nTotal: 0')
})

test("a Gunicorn's answer is shown too, with its heartbeats", () => {
  const data = { workers: [{ pid: 5, age: 1, booted: true, aborted: true, last_heartbeat: 0.5 }], count: 1 }
  assert.match(readable('show workers', data), /LAST_HEARTBEAT {2}ABORTED\n5 .* 0\.5 +yes\n/)
})

test('everything there is', async () => {
  assert.match(await shown('show all'), /^MASTER\n {2}pid: 10\n\nFRONT\n {2}pid: 11\n\nWORKERS \(2\)\n {2}PID/)
  assert.match(await shown('show listeners'), /^ADDRESS +TYPE +FD\nhttp:\/\/127\.0\.0\.1:8000 +tcp +5\n\nTotal: 1$/)
  assert.match(await shown('show stats'), /^uptime: +5s\npid: +10\n/)
  assert.equal(await shown('show dirty'), 'No task processes')
  assert.equal(await shown('show config'), 'workers: 2')
  assert.match(await shown('help'), /^ {2}worker kill <PID> {2,}\S/m)
  assert.equal(await shown('worker add'), 'added:    1\nprevious: 2\ntotal:    3')
})

test('hours and minutes are shown where there are some', () => {
  assert.match(readable('show stats', { uptime: 3723.4 }), /1h 2m 3s/)
  assert.match(readable('show stats', { uptime: 61 }), /1m 1s/)
})

test('what a server answers cannot steer the terminal, nor break the table', () => {
  assert.equal(readable('reload', { status: 'a\u001b[2Jb\n' }), 'status: a?[2Jb?')
  assert.equal(readable('show workers', { workers: 'none' }), '(none)\n\nTotal: -')
})
