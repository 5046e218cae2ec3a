// A running program for tests of its commands: it notes what it is told.

import type { Tasks } from '../../src/app/pool/tasks.ts'
import type { App, FrontReport, Order, RunningProgram, Worker } from '../../src/control/program.ts'

export interface Noted extends RunningProgram {
  readonly orders: Order[]
  readonly ended: number[]
}

export const REPORT: FrontReport = {
  threads: 2,
  silent: 0,
  connections: { active: 3, reading: 0, writing: 1, waiting: 2, accepted: 40 },
  requests: 120,
  apps: new Map([
    [
      'site',
      {
        kind: 'sync',
        waiting: 5,
        queue: 1024,
        inFlight: new Map([[30, 1]]),
        counters: { requests: 80, queued: 10, queue_full: 0, timeouts: 2, queue_ms: 50, app_ms: 400 },
      },
    ],
  ]),
}

export function app(name: string, workers: number, tasks: Tasks | null = null): App {
  let wanted = workers
  return {
    name,
    get wanted() {
      return wanted
    },
    tasks,
    resize(by) {
      const previous = wanted
      wanted = Math.min(Math.max(wanted + by, 1), 8)
      return { previous, total: wanted }
    },
  }
}

export function program(more: Partial<RunningProgram> = {}): Noted {
  const orders: Order[] = []
  const ended: number[] = []
  const workers: Worker[] = [
    { pid: 31, app: 'site', age: 2, state: 'starting', aborted: false },
    { pid: 30, app: 'site', age: 1, state: 'serving', aborted: false },
  ]
  return {
    pid: 10,
    stats: { startedMs: Date.now() - 5000, spawned: 4, killed: 2, reloads: 1 },
    apps: [app('site', 2)],
    workers,
    listeners: [{ address: 'http://127.0.0.1:8000', fd: 5, type: 'tcp' }],
    front: 11,
    settings: { workers: 2 },
    requests: () => Promise.resolve(new Map([[30, 12]])),
    report: () => Promise.resolve(REPORT),
    endWorker(pid) {
      ended.push(pid)
      return workers.some(worker => worker.pid === pid)
    },
    tell: order => void orders.push(order),
    ...more,
    orders,
    ended,
  }
}
