// The page of `show status`: what stands where, and what is left out.

import assert from 'node:assert/strict'
import test from 'node:test'
import { answer } from '../../src/control/commands.ts'
import { statusPage } from '../../src/control/status-page.ts'
import { readable } from '../../src/control/tables.ts'
import { app, program, REPORT } from './program.ts'

type Data = Readonly<Record<string, any>>

async function status(more = {}): Promise<Data> {
  const { message } = (await answer(program(more), { command: 'show status' })) as any
  assert.equal(message.status, 'ok', message.error)
  return message.data
}

test('show status: workers by what they are at, the queue, and what was counted', async () => {
  const { version, uptime, memory, apps, ...rest } = await status()
  assert.match(version, /^\d+\.\d+\.\d+$/)
  assert.ok(uptime >= 5)
  assert.ok(memory === null || memory > 0)
  const { connections, requests } = REPORT
  assert.deepEqual(rest, { pid: 10, front: 11, reloads: 1, threads: 2, threads_silent: 0, connections, requests })
  assert.deepEqual(
    { ...apps[0], memory: null },
    {
      name: 'site',
      kind: 'sync',
      workers: { wanted: 2, starting: 1, idle: 0, busy: 1, leaving: 0 },
      in_flight: 1,
      queue: { waiting: 5, limit: 1024 },
      counters: REPORT.apps.get('site')!.counters,
      memory: null,
    },
  )
})

test('without a front, and of an application no thread knows, there are no numbers', async () => {
  const report = { threads: 0, silent: 0, connections: null, requests: null, apps: new Map() }
  const data = await status({ front: 0, report: () => Promise.resolve(report), apps: [app('new', 3)] })
  assert.deepEqual([data['front'], data['connections']], [null, null])
  assert.deepEqual(data['apps'][0].workers, { wanted: 3, starting: 0, idle: null, busy: null, leaving: 0 })
  assert.equal(
    statusPage({ ...data, version: '1.2.3', uptime: 61 }),
    `portico 1.2.3, up 1m 1s, reloads 1
master 10, front - with 0 threads

APP  WORKERS
new  3`,
  )
})

const PAGE = {
  version: '1.2.3',
  uptime: 3723.4,
  pid: 10,
  front: 11,
  memory: 50 * 2 ** 20,
  reloads: 1,
  threads: 2,
  threads_silent: 0,
  connections: REPORT.connections,
  requests: 120,
  apps: [
    {
      name: 'site',
      kind: 'sync',
      workers: { wanted: 2, starting: 1, idle: 0, busy: 1, leaving: 0 },
      in_flight: 1,
      queue: { waiting: 5, limit: 1024 },
      counters: REPORT.apps.get('site')!.counters,
      memory: 3.5 * 2 ** 20,
    },
  ],
}

test('one page', () => {
  const page = `portico 1.2.3, up 1h 2m 3s, reloads 1
master 10, front 11 with 2 threads, 50.0 MB

connections  3 active, 0 reading, 1 writing, 2 waiting, 40 accepted
requests     120

APP   KIND  WORKERS  BUSY  IDLE  STARTING  QUEUE   REQUESTS  APP MS  QUEUE MS  TIMEOUTS  MEMORY
site  sync  2        1     0     1         5/1024  80        5.0     5.0       2         3.5 MB`
  assert.equal(statusPage(PAGE), page)
  assert.equal(readable('show status', PAGE), page)
})

function earlier(more: object): Data {
  const [site] = PAGE.apps
  const apps = [{ ...site, counters: { ...site!.counters, requests: 70 } }]
  return { ...PAGE, uptime: PAGE.uptime - 4, requests: 100, apps, ...more }
}

test('rates are those since the last answer', () => {
  const page = statusPage(PAGE, earlier({}))
  assert.match(page, /^requests {5}120, 5\.0\/s$/m)
  assert.match(page, /REQUESTS {2}PER S {2}APP MS.*\n.* 80 {8}2\.5 {4}5\.0 /)
})

test('there are no rates where numbers have begun anew, or no time has passed', () => {
  for (const more of [{ pid: 9 }, { front: 9 }, { requests: 121, apps: [] }, { uptime: PAGE.uptime }]) {
    assert.doesNotMatch(statusPage(PAGE, earlier(more)), /\/s|PER S/, JSON.stringify(more))
  }
})

test('threads that have not answered are told of, and requests in flight where a worker has several', () => {
  const apps = [{ ...PAGE.apps[0], kind: 'asgi', in_flight: 17 }]
  const page = statusPage({ ...PAGE, threads_silent: 1, apps })
  assert.match(page, /IN FLIGHT.*\n.* 17 /)
  assert.match(page, /\n\n1 of 2 threads did not answer: what they have is left out$/)
})

test('whatever a server answers can be shown, and does not steer the terminal', () => {
  assert.match(statusPage({}), /^portico -, up 0s/)
  const odd = { version: '\u001b[2J', connections: { active: [] }, apps: [{ name: '\u001b', counters: 3 }, null, 7] }
  assert.doesNotMatch(statusPage(odd, odd).replaceAll('\n', ''), /\p{Cc}/u)
})
