// An application's pool without front or program: what it tells the threads and the log is kept.

import { fileURLToPath } from 'node:url'
import type { AppNotice, AppSettings } from '../../src/app/app.ts'
import { AppPool } from '../../src/app/pool/pool.ts'
import { eventually } from '../helpers/eventually.ts'
import { atEnd } from '../helpers/scope.ts'
import type { Scope } from '../helpers/scope.ts'
import { tempDir } from '../helpers/temp-dir.ts'

export const apps = fileURLToPath(new URL('./apps', import.meta.url))

const defaults: AppSettings = {
  name: 'test',
  kind: 'sync',
  directory: apps,
  module: 'things:application',
  arguments: [],
  nodeOptions: [],
  waitReady: false,
  python: '',
  pythonPath: [],
  workers: 2,
  workersMax: 2,
  threads: 1,
  preload: true,
  timeout: 30_000,
  gracefulTimeout: 5000,
  maxRequests: 0,
  maxRequestsJitter: 0,
  prefetch: 2,
  maxMemory: 0,
  queue: 100,
  queueTimeout: 5000,
  workerConnections: 1000,
  lifespanState: 'copy',
  wsgiErrors: 'log',
  pasteGlobal: [],
  environment: { PYTHONDONTWRITEBYTECODE: '1' },
  user: '',
  group: '',
  umask: -1,
  tasks: null,
  place: 'test:1',
}

export interface Running {
  readonly pool: AppPool
  readonly dir: string
  readonly notices: AppNotice[]
  readonly log: string[]
}

export function run(t: Scope, settings: Partial<AppSettings>, generation = 1, dir = tempDir(t)): Running {
  const notices: AppNotice[] = []
  const log: string[] = []
  const pool = new AppPool({
    output: 'inherit',
    settings: { ...defaults, ...settings },
    generation,
    frontThreads: 1,
    runDirectory: dir,
    front: null,
    log: (_level, message) => void log.push(message),
    notify: notice => void notices.push(notice),
  })
  atEnd(t, () => pool.stop(false, 0))
  pool.start()
  return { pool, dir, notices, log }
}

/** Pids of the workers once there are so many. */
export async function serving(pool: AppPool, count: number): Promise<number[]> {
  await eventually(() => pool.pids().length === count)
  return pool.pids()
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export const gone = (notices: AppNotice[], pid: number): boolean =>
  notices.some(one => one.type === 'gone' && one.pid === pid)
