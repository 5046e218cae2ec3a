// What several threads say, put together.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { ThreadReport } from '../../src/cli/thread-report.ts'
import { ThreadReports, together } from '../../src/cli/thread-reports.ts'

function report(thread: number, kind: string, backlog: number, inFlight: number, id = 1): ThreadReport {
  const connections = { active: 7, reading: 1, writing: 2, waiting: 4, accepted: 90 }
  const workers = [{ pid: 30, in_flight: inFlight, served: 5 }]
  const snapshot = { kind, waiting: 99, queue: 10, counters: { requests: 5 }, workers }
  return { id, thread, connections, requests: 200, apps: [{ name: 'site', backlog, snapshot }] }
}

test('who waits is added up; what threads count together is not', () => {
  const { silent, connections, requests, apps } = together(2, [report(0, 'sync', 2, 1), report(1, 'sync', 3, 1)])
  assert.deepEqual([silent, connections?.active, requests], [0, 7, 200])
  const counters = { requests: 5 }
  assert.deepEqual(apps.get('site'), { kind: 'sync', waiting: 5, queue: 10, inFlight: new Map([[30, 1]]), counters })
})

test('each thread has requests of its own with a Node worker', () => {
  const { apps } = together(2, [report(0, 'node', 0, 4), report(1, 'node', 0, 3)])
  assert.equal(apps.get('site')?.inFlight.get(30), 7)
})

test('everybody who asks at the same time has the one answer, once all threads have told', async () => {
  const asked: number[] = []
  const reports = new ThreadReports(id => asked.push(id))
  const [first, second] = [reports.of(2), reports.of(2)]
  reports.told(report(0, 'sync', 1, 1))
  reports.told(report(0, 'sync', 1, 1))
  reports.told(report(1, 'sync', 1, 1, 99))
  reports.told(report(1, 'sync', 1, 1))
  assert.deepEqual(await first, await second)
  assert.deepEqual([asked, (await first).silent], [[1], 0])
})

test('a thread that does not answer is left out, and its late answer is none to the next question', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reports = new ThreadReports(() => {})
  const first = reports.of(2)
  reports.told(report(0, 'sync', 1, 1))
  t.mock.timers.tick(1000)
  assert.deepEqual([(await first).silent, (await first).apps.get('site')?.waiting], [1, 1])
  const second = reports.of(2)
  reports.told(report(1, 'sync', 1, 1))
  t.mock.timers.tick(1000)
  const { silent, connections, apps } = await second
  assert.deepEqual([silent, connections, apps.size], [2, null, 0])
})
